"""What all fits share: problem and result, targets, metrics, calibration, communicator, progress."""
