"""Density engine: radial x angular expansion of neighbour densities and their rotation-invariant correlations.

Importing it registers the compiled operators, so that every module built on them can be scripted and loaded.
"""

from rhopot.potentials.operators import load

load()
