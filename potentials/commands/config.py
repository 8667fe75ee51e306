"""`rhopot config`: the families, or the whole configuration of one of them."""

from __future__ import annotations

from rhopot.potentials.console import make_console, table
from rhopot.potentials.families import family_names, find_family


def config(family: str | None) -> None:
    """Print a family's configuration as YAML, or the list of families where none is named."""
    if family is not None:
        from rhopot.potentials.config.template import template  # with the models of all settings

        print(template(family), end="")
        return
    console = make_console()
    rows = [(name, find_family(name).title) for name in family_names()]
    console.print(table("", ("family", "model"), rows, words=True))
    console.print("rhopot config FAMILY prints all keys of one with defaults, units and meanings")
