"""One well-tempered metadynamics of a double well, for several tests."""

from __future__ import annotations

import pytest
from biased_runs import BiasedRun, metadynamics


@pytest.fixture(scope="session")
def tempered() -> BiasedRun:
    return metadynamics(24000)
