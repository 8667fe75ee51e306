"""`rhopot config`: the families, or the whole configuration of one of them."""

from __future__ import annotations

from rhopot.potentials.console import make_console, table
from rhopot.potentials.families import FamilyError, family_names, find_family


def config(family: str | None) -> None:
    """Print a family's configuration as YAML, or the list of families, broken ones with what is wrong with them."""
    if family is not None:
        from rhopot.potentials.config.template import template  # with the models of all settings

        print(template(family), end="")
        return
    console = make_console()
    rows, broken = [], []
    for name in family_names():
        try:
            rows.append((name, find_family(name).title))
        except FamilyError as error:
            broken.append(" ".join(str(error).split()))
    console.print(table("", ("family", "model"), rows, words=True))
    for sentence in broken:
        console.print(f"note: {sentence}")
    console.print("rhopot config FAMILY prints all keys of one with defaults, units and meanings")
