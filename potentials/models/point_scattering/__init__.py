"""`point_scattering`: wavelets at atom centers convolve learnt channels, layer by layer."""
