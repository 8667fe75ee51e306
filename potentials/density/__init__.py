"""Density engine: radial x angular expansion of neighbour densities and their rotation-invariant correlations."""
