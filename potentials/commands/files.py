"""Writing files so that a reader never sees half of one: `rhopot.potentials.files` under the name commands import."""

from rhopot.potentials.files import write_atomically, write_text

__all__ = ["write_atomically", "write_text"]
