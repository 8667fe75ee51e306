"""Studies that use a finished potential through ASE and through LAMMPS.

Each workflow takes an ASE calculator, so that any family (or another code) can stand in, and writes the LAMMPS input it
stands for through `lammps_input`. Nothing below this layer imports it.
"""
