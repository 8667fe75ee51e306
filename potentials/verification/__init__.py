"""Verification of models and installations: ASE against LAMMPS, finite differences, versions of libraries."""
