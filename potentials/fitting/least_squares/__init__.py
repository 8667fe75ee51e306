"""Streaming least squares: ridge regression and sparse kernels from sums over the frames."""
