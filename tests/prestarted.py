"""Python processes forked from one that has already imported what they need: torch alone takes two seconds.

A template process imports the modules it is given, and nothing else, and then waits for command lines. Each runs in a
fork of its own, with the arguments, folder, environment and streams of a process that was started anew, and with none
of the state of whoever asks.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

STREAMS = 3  # input, output, errors


class Template:
    """Takes the place of the module `subprocess` where that starts Python; its process starts when first used."""

    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self, *modules: str, checks: Template | None = None) -> None:
        """`modules`: imported before the fork. `checks`: runs the self-checks of what the processes save."""
        self._modules = modules
        self._checks = checks
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="rhopot")  # a short path, as sockets need it

    def __enter__(self) -> Template:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            with self._process as process:  # which ends when its input does
                assert process.stdin is not None
                process.stdin.close()
        self._folder.cleanup()

    @property
    def socket(self) -> str:
        """Where the process listens."""
        path = str(Path(self._folder.name, "socket"))
        if self._process is None:
            checks = self._checks.socket if self._checks else ""
            command = [sys.executable, "-P", __file__, path, checks, *self._modules]
            pipe = subprocess.PIPE  # its input ends with this process; Ctrl-C is for this process alone
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == b"ready\n"
        return path

    def commands(self) -> Path:
        """A folder with `python` and `rhopot`, to be found first in PATH."""
        folder = Path(self._folder.name, "bin")
        folder.mkdir(exist_ok=True)
        for name, words in {"python": [], "rhopot": ["-m", "rhopot.potentials.commands"]}.items():
            (folder / name).write_text(
                f"#!{sys.executable} -IS\nimport sys\n\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
                f"from prestarted import follow\n\nsys.exit(follow({self.socket!r}, [*{words!r}, *sys.argv[1:]]))\n"
            )
            (folder / name).chmod(0o755)
        return folder

    def run(
        self,
        command: Sequence[str],
        *,
        capture_output: bool = True,
        text: bool = True,
        check: bool = False,
        timeout: float | None = None,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """`subprocess.run` of a command that starts with this Python."""
        assert (command[0], capture_output, text, check) == (sys.executable, True, True, False)
        return run(self.socket, list(command), timeout, cwd, env)


def run(
    path: str, command: list[str], timeout: float | None, cwd: Path | None, env: dict[str, str] | None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a fork of the template that listens there, to its end."""
    with open(os.devnull) as nothing, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        streams = [nothing.fileno(), output.fileno(), errors.fileno()]
        with _asked(path, command[1:], streams, cwd, env) as connection:
            pid = struct.unpack("i", connection.recv(4, socket.MSG_WAITALL))[0]
            connection.settimeout(timeout)
            try:
                status = struct.unpack("i", connection.recv(4, socket.MSG_WAITALL))[0]
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout or 0.0) from None
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess(command, status, *texts)


def follow(path: str, words: list[str]) -> int:
    """Run a command with the streams of this process; its status, as shells count it."""
    with _asked(path, words, [0, 1, 2], None, None) as connection:
        connection.recv(4, socket.MSG_WAITALL)
        status = struct.unpack("i", connection.recv(4, socket.MSG_WAITALL))[0]
    return 128 - status if status < 0 else status


def _asked(
    path: str, words: list[str], streams: list[int], cwd: Path | None, env: dict[str, str] | None
) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    request = json.dumps([words, str(cwd or Path.cwd()), dict(os.environ if env is None else env)]).encode()
    socket.send_fds(connection, [struct.pack("i", len(request))], streams)
    connection.sendall(request)
    return connection


def _serve(path: str) -> None:
    """Fork for each that asks, until whoever started the template ends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    children = set()
    while 0 not in select.select([listener, 0], [], [])[0]:
        connection, _ = listener.accept()
        child = os.fork()
        if child == 0:
            listener.close()
            _answer(connection)
        connection.close()
        children.add(child)
        children -= {done for done in children if os.waitpid(done, os.WNOHANG)[0]}
    for child in children:  # waited for, so that their time is counted
        os.waitpid(child, 0)


def _answer(connection: socket.socket) -> None:
    """Run one command in a fork, and tell its process and then its status."""
    size, streams, _, _ = socket.recv_fds(connection, 4, STREAMS)
    words, cwd, env = json.loads(connection.recv(struct.unpack("i", size)[0], socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        _become(words, cwd, env)
    for stream in streams:
        os.close(stream)
    connection.sendall(struct.pack("i", child))
    _, status = os.waitpid(child, 0)
    connection.sendall(struct.pack("i", os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _become(words: list[str], cwd: str, env: dict[str, str]) -> None:
    """Do what `python WORDS` does, and end."""
    import atexit
    import threading
    import traceback

    import numpy as np

    status = 0
    try:
        os.chdir(cwd)
        ours = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ.clear()
        os.environ.update(env)
        theirs = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]
        sys.path[:] = [*theirs, *(folder for folder in sys.path if folder not in ours)]
        np.random.seed()  # noqa: NPY002  (of every process its own, as when it starts)
        _run(words)
    except SystemExit as stop:
        if stop.code is not None and not isinstance(stop.code, int):
            print(stop.code, file=sys.stderr)
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def _run(words: list[str]) -> None:
    """The program that the command line of Python names: -m MODULE, -c CODE, - or FILE, with its arguments."""
    import runpy

    safe = words[0] == "-P"
    kind, *rest = words[1:] if safe else words
    if kind == "-m":
        module, *arguments = rest
        sys.argv = [module, *arguments]
        sys.path[:0] = [] if safe else [str(Path.cwd())]
        sys.modules.pop(module, None)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    elif kind in ("-c", "-"):
        code, *arguments = rest if kind == "-c" else [sys.stdin.read(), *rest]
        sys.argv = [kind, *arguments]
        sys.path[:0] = [] if safe else [""]
        main = sys.modules["__main__"] = type(sys)("__main__")
        exec(compile(code, "<string>" if kind == "-c" else "<stdin>", "exec"), main.__dict__)
    else:
        sys.argv = [kind, *rest]
        sys.path[:0] = [] if safe else [str(Path(kind).resolve().parent)]
        runpy.run_path(kind, run_name="__main__")


def _main(path: str, checks: str, modules: Sequence[str]) -> None:
    import importlib

    for module in modules:
        importlib.import_module(module)
    if checks:
        from rhopot.export import save

        class Checks:
            TimeoutExpired = subprocess.TimeoutExpired

            @staticmethod
            def run(command: list[str], *, timeout: float, **_: object) -> subprocess.CompletedProcess[str]:
                return run(checks, command, timeout, None, None)

        save.subprocess = Checks  # type: ignore[assignment]
    _serve(path)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[3:])
