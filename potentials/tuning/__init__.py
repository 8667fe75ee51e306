"""The search of `rhopot tune`: configurations on a grid, their cross-validation errors and measured costs."""
