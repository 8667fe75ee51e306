"""`point_scattering`: wavelets at atom centers convolve learned channels, layer by layer."""
