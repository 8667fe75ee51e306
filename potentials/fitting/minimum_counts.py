"""Fewest data with which a fit states an uncertainty."""

# Errors, or structures with force errors, that calibrate a factor; frames that a validation set split off holds.
FEWEST_ERRORS = 3
# Folds of a jackknife.
FEWEST_FOLDS = 3
# Members that left a structure out of their bootstrap before their standard deviation there counts.
FEWEST_LEFT_OUT = 8
