"""Gaussian bases of distances and angles: what angular networks filter messages with."""

from rhopot.potentials.descriptors.angular.angular_settings import AngularSettings
from rhopot.potentials.descriptors.angular.basis import AngularBasis

__all__ = ["AngularBasis", "AngularSettings"]
