"""One process under the supervisor: started, restarted with back-off when it dies, ended in good order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("dryport.supervisor")
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_FIRST_DELAY = 0.1  # seconds
_LAST_DELAY = 10.0
_STEADY = 30.0  # after so long a life, the next death starts at the first delay again


def _die_with_parent(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return prepare


def write_pid(path: Path, pid: int) -> None:
    """Note a process id, so that nobody ever reads half of it."""
    new = path.with_suffix(".new")
    new.write_text(str(pid))
    new.replace(path)


@dataclass
class Child:
    """A supervised process. ``grace`` is how many seconds it has to end after SIGTERM."""

    name: str
    argv: list[str]
    log_path: Path
    pid_path: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    grace: float = 10.0
    restarts: int = 0
    _process: asyncio.subprocess.Process | None = None
    _keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, and again whenever it dies, until ``stop``."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self.log_path.open("ab") as output:
            os.chmod(self.log_path, 0o600)
            process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid()),
            )
        write_pid(self.pid_path, process.pid)
        return process

    async def _keep(self) -> None:
        delay = _FIRST_DELAY
        while True:
            began = time.monotonic()
            self._process = await self._spawn()
            status = await self._process.wait()
            self.restarts += 1
            if time.monotonic() - began > _STEADY:
                delay = _FIRST_DELAY
            log.warning(
                "%s ended with status %d; again in %.1f s (its log: %s)", self.name, status, delay, self.log_path
            )
            await asyncio.sleep(delay)
            delay = min(_LAST_DELAY, delay * 2)

    async def stop(self, signal_number: int = signal.SIGTERM, grace: float | None = None) -> None:
        """End it: the signal, then after the grace period SIGKILL."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal_number)
            try:
                await asyncio.wait_for(process.wait(), self.grace if grace is None else grace)
            except TimeoutError:
                log.warning("%s did not end in time and was killed", self.name)
                process.kill()
                await process.wait()
        self.pid_path.unlink(missing_ok=True)
