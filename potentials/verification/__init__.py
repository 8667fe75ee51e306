"""Whether a model and an installation do what they promise: engines against each other, finite differences."""
