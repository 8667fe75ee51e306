"""One computation for each of many frames: distributed over processes, in threads where asked for, gathered in order.

Whatever the number of processes and threads, a result depends on its frame alone and stands at its frame's place. The
first failure, or an interruption from the keyboard, cancels what has not begun.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from typing import TypeVar

import torch

from rhopot.potentials.fitting.communicator import Communicator, round_robin
from rhopot.potentials.fitting.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_frames(
    items: Sequence[Item],
    compute: Callable[[Item], Result],
    communicator: Communicator,
    progress: Progress,
    stage: str,
    workers: int = 1,
) -> list[Result]:
    """Return the results for all items in their order on rank 0, an empty list elsewhere.

    Args:
        items: frames, or whatever else is computed one by one.
        compute: called in one of `workers` threads.
        stage: name of the progress bar.
    """
    share = round_robin(items, communicator)
    progress.start(stage, len(share))
    mine: dict[int, Result] = {}
    with closing(as_ready(share, compute, workers)) as results:
        for k, result in results:
            mine[k] = result
            progress.advance(stage, len(mine))
    return gather_in_order(mine, communicator)


def as_ready(
    items: Sequence[tuple[int, Item]], compute: Callable[[Item], Result], workers: int
) -> Generator[tuple[int, Result], None, None]:
    """Yield the number and the result of each numbered item as soon as it is there; closing it cancels the rest."""
    if workers == 1:
        for k, item in items:
            yield k, compute(item)
        return
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(compute, item): k for k, item in items}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def gather_in_order(mine: Mapping[int, Result], communicator: Communicator) -> list[Result]:
    """Return the results of all processes by rising numbers on rank 0, an empty list elsewhere."""
    found: dict[int, Result] = {}
    for part in communicator.gather(mine):
        found.update(part)
    return [found[k] for k in sorted(found)]


@contextmanager
def one_thread_each(communicator: Communicator) -> Iterator[int]:
    """Yield how many threads of Python may work side by side, each of which has one thread of torch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads if "OMP_NUM_THREADS" in os.environ else max(1, threads // communicator.size)
    finally:
        torch.set_num_threads(threads)
