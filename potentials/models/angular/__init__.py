"""Angular networks: messages filtered by distance and angle, X. Brumwell, chapter 6."""
