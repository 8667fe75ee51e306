"""Fitting: problem and result, targets, metrics, calibration, communicator, progress."""
