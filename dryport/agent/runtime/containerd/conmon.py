"""conmon and runc: the two programs that run a container without any daemon."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import msgspec

from dryport.agent.runtime.containerd import k8s_log
from dryport.agent.runtime.interface import RuntimeFailure
from dryport.agent.runtime.processes import Process

_ENVIRONMENT = {"PATH": os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")}


_LOOK_AGAIN = 0.1  # seconds between looks at a process that does not go on
_CONMON_FILES = ("conmon.pid", "pid", "ctl", "winsz", "attach", "oom")


class _Sync(msgspec.Struct):
    """What conmon says on its pipe once ``runc create`` is done: the first process's pid, or -1 and why not."""

    data: int
    message: str = ""


class Runc:
    """runc with the root directory of its own state."""

    def __init__(self, root: Path, exits: Path, program: str = "runc") -> None:
        self._root = root
        self._exits = exits
        self.program = program

    async def create(self, id: str, home: Path, *, terminal: bool, interactive: bool, keep_log: bool) -> int:
        """Make the container of the bundle in ``home``, with a conmon to stay with it; its first process's pid.

        The process waits for ``start``. Raises RuntimeFailure.
        """
        # A socket, not a pipe: uvloop closes a pipe's descriptor twice, and by then the number may be somebody else's.
        ours, theirs = socket.socketpair()
        arguments = self._monitor_arguments(id, home, terminal, interactive, keep_log)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            with theirs:
                child = await asyncio.create_subprocess_exec(
                    "conmon",
                    *arguments,
                    env={**_ENVIRONMENT, "_OCI_SYNCPIPE": str(theirs.fileno())},
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    cwd=home,  # where it drops a file called "oom"
                    start_new_session=True,
                )
            line = await reader.readline()
            assert child.stderr is not None
            if not line:
                said = (await child.stderr.read(4096)).decode("utf-8", "replace").strip()
                raise _cannot_start(f"conmon ended: {said}")
            await child.wait()
        finally:
            writer.close()
        answer = msgspec.json.decode(line, type=_Sync)
        if answer.data < 0:
            raise _cannot_start(answer.message)
        return answer.data

    async def start(self, id: str, first: Process) -> None:
        """Let the first process go on into the container's program; it waits for a reader of runc's ``exec.fifo``.

        This is all that ``runc start`` does (libcontainer's ``container.exec``), and it takes 20 ms of processor time
        for it. Raises RuntimeFailure.
        """
        fifo = self._fifo(id)
        try:
            handle = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise _cannot_start("cannot start a container that has stopped") from error
        loop, written = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(handle, written.set)
        try:
            while not written.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(written.wait(), _LOOK_AGAIN)
                if not written.is_set() and not first.alive():
                    raise _cannot_start("the container's process ended before it was started")
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        fifo.unlink(missing_ok=True)  # by which runc knows that it was started

    def waits(self, id: str) -> bool:
        """Whether its program has not been started."""
        return self._fifo(id).exists()

    def _fifo(self, id: str) -> Path:
        return self._root / id / "exec.fifo"

    async def status(self, id: str) -> tuple[str, int]:
        """runc's word for what the container is doing ("" where it knows none), and its first process's pid."""
        code, output = await self.run("state", id)
        if code != 0:
            return "", 0
        state = msgspec.json.decode(output.encode())
        return str(state["status"]), int(state["pid"])

    async def delete(self, id: str) -> None:
        """Kill what is left of it and delete runc's state and cgroups."""
        code, output = await self.run("delete", "--force", id)
        if code != 0 and "does not exist" not in output:
            raise RuntimeFailure("CannotRemoveContainerError", _words(output))

    def forget(self, id: str, home: Path) -> None:
        """Remove what the conmon of an earlier run left: the next one makes these anew, or would be taken for it."""
        for file in (self._exits / id, *(home / name for name in _CONMON_FILES)):
            file.unlink(missing_ok=True)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run runc; its exit code and what it printed."""
        child = await asyncio.create_subprocess_exec(
            self.program,
            "--root",
            str(self._root),
            *arguments,
            env=_ENVIRONMENT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await child.communicate()
        return child.returncode or 0, output.decode("utf-8", "replace")

    def exec_arguments(self, id: str, process_file: Path, pid_file: Path) -> list[str]:
        """The command line that runs a further process in a container."""
        options = ["--process", str(process_file), "--pid-file", str(pid_file)]
        return [self.program, "--root", str(self._root), "exec", *options, id]

    def _monitor_arguments(self, id: str, home: Path, terminal: bool, interactive: bool, keep_log: bool) -> list[str]:
        log = f"k8s-file:{home}/log" if keep_log else "none"
        return [
            *("--api-version", "1", "--cid", id, "--cuuid", id, "--name", id),
            *("--runtime", _program(self.program), "--runtime-arg", f"--root={self._root}"),
            *("--bundle", str(home), "--container-pidfile", f"{home}/pid", "--conmon-pidfile", f"{home}/conmon.pid"),
            *(
                "--exit-dir",
                str(self._exits),
                "--persist-dir",
                str(home),
                "--socket-dir-path",
                str(home),
                "--full-attach",
            ),
            *("--log-path", log, "--log-size-max", str(k8s_log.SEGMENT_SIZE), "--no-sync-log", "--log-level", "error"),
            *(("--terminal",) if terminal else ()),
            *(("--stdin", "--leave-stdin-open") if interactive else ()),
        ]


def _program(name: str) -> str:
    for directory in _ENVIRONMENT["PATH"].split(":"):
        if os.access(f"{directory}/{name}", os.X_OK):
            return f"{directory}/{name}"
    raise RuntimeFailure("CannotStartContainerError", f"this machine has no {name}: apt-get install {name}")


def _cannot_start(message: str) -> RuntimeFailure:
    """runc's words in the frame in which Fargate shows them."""
    return RuntimeFailure(
        "CannotStartContainerError",
        "ResourceInitializationError: failed to create new container runtime task: "
        f"failed to create shim task: OCI runtime create failed: {_words(message)}: unknown",
    )


def _words(message: str) -> str:
    """The last thing that runc said, without its log's decoration."""
    lines = [line for line in message.strip().splitlines() if line.strip()]
    text = lines[-1] if lines else "runc said nothing"
    if 'msg="' in text:
        text = text.split('msg="', 1)[1].rstrip().removesuffix('"').replace('\\"', '"')
    return text.strip()
