"""From simulations to new training data: which of their frames, or parts of them, a model knows least.

candidates   frames of trajectories, dumps and run folders
errors       predicted force errors of their atoms
clusters     small structures cut from large cells
selection    frames that together say most (D-optimality), each of them once
inputs       files of programs that label them
"""
