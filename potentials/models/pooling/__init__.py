"""Pooling networks: messages between atoms, then between nodes that atoms are pooled to; X. Brumwell, chapter 6."""
