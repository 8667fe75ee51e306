"""Times that the benchmarks read from LAMMPS' output."""

from __future__ import annotations

import pytest
from examples_at_hand import example

from rhopot.potentials.lammps.process import LammpsRun

OUTPUT = """Loop time of {loop} on 1 procs for 5 steps with 8 atoms

{share}% CPU use with 1 MPI tasks x 1 OpenMP threads
"""


@pytest.mark.parametrize(("share", "computed"), [("50.0", 0.002), ("0.0", 0.004)])
def test_processor_time_of_a_run_is_never_zero(share: str, computed: float) -> None:
    """A run shorter than a tick of the system's accounting has 0 % CPU use: its time by the clock is taken."""
    loop_time = example("benchmarks/tuned_cost").__globals__["loop_time"]
    found = loop_time(LammpsRun(OUTPUT.format(loop=0.004, share=share)))
    assert (found.wall, found.cpu) == pytest.approx((0.004, computed))
