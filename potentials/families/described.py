"""Settings in a model file, read by a family that may be of another version than the one that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from rhopot.potentials.families.family import Family
from rhopot.potentials.families.registry import FamilyError


def described_settings(family: Family, values: Mapping[str, Any]) -> Any:
    """Settings of a descriptor as a model file holds them, by the installed family's own model.

    Raises:
        FamilyError: the installed package knows other settings than the one that wrote the file.
    """
    try:
        return family.descriptor_settings.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        keys = ", ".join(dict.fromkeys(".".join(map(str, fault["loc"])) or "all together" for fault in faults))
        raise FamilyError(
            f"descriptor in the model file must have the settings of the installed family {family.name}, got others "
            f"({keys}); install the version of its package that wrote the file"
        ) from error
