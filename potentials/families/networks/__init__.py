"""What families of neural networks share, on fixed features and learnt ones: sources, derivatives, the training."""
