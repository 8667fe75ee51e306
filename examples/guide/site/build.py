"""Build the site: `python examples/guide/site/build.py [--output build/site]`, after `pip install .[docs]`.

Pages are collected in a folder beside the output, and a warning of Sphinx fails the build. Nothing is fetched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect the pages and run Sphinx on them; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site", help="folder of the HTML pages")
    output = parser.parse_args(arguments).output.resolve()
    sys.path.insert(0, str(HERE))
    from collect import collect
    from sphinx.cmd.build import build_main

    pages = output.with_name(output.name + "-pages")
    collect(pages)
    words = ["--fail-on-warning", "--keep-going", "--quiet", "--fresh-env", "--jobs", "2"]
    status = build_main([*words, "--conf-dir", str(HERE), str(pages), str(output)])
    if status == 0:
        print(f"{output / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
