"""Where torch computes: names, and which GPU a process takes."""

from __future__ import annotations

import pytest
import torch

from rhopot.potentials.device import find_device


def test_the_processor_is_always_there() -> None:
    assert find_device("cpu", "device") == torch.device("cpu")


@pytest.mark.parametrize(("rank", "gpu"), [("0", 0), ("1", 1), ("2", 0)])
def test_processes_of_a_machine_take_its_gpus_in_turn(monkeypatch: pytest.MonkeyPatch, rank: str, gpu: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert find_device("auto", "device") == find_device("cuda", "device") == torch.device("cuda", gpu)


def test_without_a_gpu_auto_is_the_processor_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto", "device") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"some\.key must be cpu or auto where torch finds no GPU, got cuda"):
        find_device("cuda", "some.key")


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, got 'tpu'"):
        find_device("tpu", "device")
