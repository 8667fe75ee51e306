"""What feature sets know of each other: measures, selections of features, and the comparison of `rhopot analyse`."""
