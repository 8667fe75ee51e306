"""The `rhopot` command: one module per sub-command, and `main`, which turns failures into one sentence.

Sub-commands are imported when they run, so that `rhopot --help` does not wait for torch.
"""

from rhopot.potentials.commands.application import main

__all__ = ["main"]
