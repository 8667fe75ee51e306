"""LAMMPS from Python: input decks and data files, running `lmp`, reading logs and dumps."""
