"""What families of neural networks on fixed features share: cached features, their derivatives, the training."""
