"""Properties of materials from a finished potential, one module for each."""
