"""Structures as graphs: neighbors within a cutoff, the tensors that models take, forces and virial from gradients."""
