"""Streaming least squares: ridge regression and sparse kernels from one triangular factor."""
