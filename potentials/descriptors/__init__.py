"""Descriptors: from an atomic graph (or a whole periodic cell) to features, one folder for each."""
