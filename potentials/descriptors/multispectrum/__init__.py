"""Multispectra: invariants of three and four neighbours (nu = 3, 4) by Clebsch-Gordan iteration on the density."""
