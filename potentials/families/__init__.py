"""Families of potentials: what each is made of and how it is fitted."""
