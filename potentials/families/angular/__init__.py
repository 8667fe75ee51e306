"""`angular`: messages of neighbors filtered by distance and angle."""
