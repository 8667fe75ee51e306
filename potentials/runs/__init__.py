"""One training from its configuration to its output folder: data, fit, learning curve, errors, report."""
