"""TorchScript, all of it: compile, write, read, run.

No other file of the project calls `torch.jit`, so that another format of compiled models can come beside this one.
PyTorch announces the end of TorchScript with a warning at each entry point (a DeprecationWarning up to 2.13, a
FutureWarning, which Python prints, from 2.14 on); exactly that announcement is silenced here, around these calls.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rhopot.export.archive import SEAL_NAME, seal

OPERATOR_NAMESPACE = "rhopot::"
# Methods beside `forward` that adapters call (see `rhopot.export.global_models`, `models.local_model`, `cv_card`).
EXPORTED_METHODS = (
    "prepare",
    "member_gradients",
    "member_derivatives",
    "members_apart",
    "extrapolation_grades",
    "pooled_nodes",
    "finish",
)


@contextmanager
def _announced_end() -> Iterator[None]:
    """Silence TorchScript's announcement of its own deprecation, and nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is (deprecated|not supported)")
        yield


def compile_module(module: torch.nn.Module) -> torch.nn.Module:
    """The module as TorchScript, with the `EXPORTED_METHODS` it has; TorchScript is handed back as it is."""
    if isinstance(module, torch.jit.ScriptModule):
        return module
    with _announced_end():
        for name in EXPORTED_METHODS:
            method = getattr(type(module), name, None)
            if method is not None:
                torch.jit.export(method)
        return torch.jit.script(module)


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether a module is TorchScript, which the pickle protocol does not know."""
    return isinstance(module, torch.jit.ScriptModule)


def custom_operators(module: torch.nn.Module) -> tuple[str, ...]:
    """Names of the project's own operators that a compiled module calls, sorted: `rhopot::power_spectrum_v1`."""
    return tuple(sorted(set(re.findall(rf"\b{OPERATOR_NAMESPACE}\w+", _inlined(module)))))


def runs_on_gpu(module: torch.nn.Module) -> bool:
    """Whether a compiled module calls none of the project's operators, or chooses by device what stands in for them.

    Those operators run on the processor only; files written before there was a choice call them everywhere.
    """
    calls = _inlined(module)
    return OPERATOR_NAMESPACE not in calls or "prim::is_cuda" in calls


def _inlined(module: torch.nn.Module) -> str:
    """The graph of a compiled module with every call in it resolved, as text.

    PyTorch inlines what it has kept of the functions that are called. Where those have run without the profiling
    executor it has kept them with their own calls, so that one pass resolves one level.
    """
    graph = module.inlined_graph
    text, before = str(graph), ""
    while text != before:
        torch._C._jit_pass_inline(graph)
        text, before = str(graph), text
    return text


def is_registered(operator: str) -> bool:
    """Whether this process knows an operator, named as in `custom_operators`."""
    namespace, name = operator.split("::")
    return hasattr(getattr(torch.ops, namespace), name)


def serialise(module: torch.nn.Module, extra_files: dict[str, str]) -> bytes:
    """A compiled module as the bytes of its archive, with texts to lie under `extra/`."""
    buffer = io.BytesIO()
    with _announced_end():
        torch.jit.save(module, buffer, _extra_files=extra_files)
    return _without_source_locations(buffer)


def _without_source_locations(archive: io.BytesIO) -> bytes:
    """The archive, sealed and without debug records, which name files and folders of the machine that wrote them."""
    with zipfile.ZipFile(archive) as source:
        records = {name: source.read(name) for name in source.namelist() if not name.endswith(".debug_pkl")}
    folder = next(iter(records)).split("/", 1)[0]
    records[f"{folder}/extra/{SEAL_NAME}"] = seal(records).encode()
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as target:
        for name, content in records.items():
            target.writestr(zipfile.ZipInfo(name), content)
    return kept.getvalue()


def deserialise(source: io.BytesIO, device: torch.device) -> torch.nn.Module:
    """The module in the bytes of its file, on a device, ready to run: parameters need no gradient.

    Raises RuntimeError, with PyTorch's words, where the file does not fit the running PyTorch.
    """
    with _announced_end():
        module = torch.jit.load(source, map_location=device)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module.eval()


@contextmanager
def plain_execution() -> Iterator[None]:
    """Run compiled modules, forwards and backwards, without the profiling executor.

    That executor specialises on shapes, which here change at every step: it would pause again and again.
    The setting belongs to the thread.
    """
    with _announced_end(), torch.jit.optimized_execution(False):
        yield
