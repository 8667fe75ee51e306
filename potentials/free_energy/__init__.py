"""Free energies from biased runs: surfaces of hills, reweighted frames, errors, basins and barriers."""
