"""Results stand in the order of the items on any number of processes and threads; a failure cancels the rest."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.map_frames import as_ready, gather_in_order, map_frames
from rhopot.potentials.fitting.progress import SilentProgress


class Second(SingleProcess):
    """The second of three processes."""

    rank, size = 1, 3


class FirstOfTwo(SingleProcess):
    """The first of two processes, whose other one has found the squares of odd numbers."""

    size = 2

    def gather(self, value: Any) -> list[Any]:
        return [value, {1: 1, 3: 9}]


class Steps(SilentProgress):
    """Remembers the steps it was told of."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def start(self, stage: str, total: int) -> None:
        self.seen.append((stage, total))

    def advance(self, stage: str, done: int) -> None:
        self.seen.append((stage, done))


@pytest.mark.parametrize("workers", [1, 3])
def test_results_are_in_order_whatever_becomes_ready_first(workers: int) -> None:
    def compute(number: int) -> int:
        time.sleep(0.02 * (5 - number))
        return number**2

    progress = Steps()
    found = map_frames(range(5), compute, SingleProcess(), progress, "squares", workers)
    assert found == [0, 1, 4, 9, 16]
    assert progress.seen == [("squares", 5), *(("squares", done) for done in range(1, 6))]


def test_each_process_computes_its_share_and_the_first_has_all() -> None:
    seen: list[int] = []

    def compute(number: int) -> int:
        seen.append(number)
        return number**2

    assert map_frames(range(5), compute, FirstOfTwo(), SilentProgress(), "squares") == [0, 1, 4, 9, 16]
    assert seen == [0, 2, 4]
    map_frames(range(5), compute, Second(), SilentProgress(), "squares")
    assert seen == [0, 2, 4, 1, 4]


def test_results_of_all_processes_are_ordered_by_number() -> None:
    assert gather_in_order({2: "c", 0: "a"}, FirstOfTwo()) == ["a", 1, "c", 9]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_cancels_what_has_not_begun(workers: int, error: type[BaseException]) -> None:
    begun: list[int] = []

    def compute(number: int) -> int:
        begun.append(number)
        if number == 0:
            raise error("the first frame")
        time.sleep(0.05)
        return number

    with pytest.raises(error, match="the first frame"):
        map_frames(range(100), compute, SingleProcess(), SilentProgress(), "frames", workers)
    assert len(begun) < 10


def test_a_failure_of_the_receiver_cancels_too() -> None:
    begun: list[int] = []
    released = threading.Event()

    def compute(number: int) -> int:
        begun.append(number)
        released.wait(5.0 if number else 0.0)
        return number

    results = as_ready([(k, k) for k in range(100)], compute, 2)
    assert next(results) == (0, 0)
    released.set()
    results.close()
    assert len(begun) < 100
