"""What families of neural networks share, on fixed features and learned ones: sources, derivatives, the training."""
