"""The pause container's program, and Docker's frames."""

from __future__ import annotations

import platform
import signal
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from dryport.agent.runtime import RuntimeFailure
from dryport.agent.runtime.docker import connection, pause


def test_the_program_waits_until_it_is_killed(tmp_path: Path) -> None:
    with tarfile.open(fileobj=BytesIO(pause.layer(platform.machine()))) as archive:
        archive.extractall(tmp_path, filter="data")
    running = subprocess.Popen([tmp_path / "pause"])
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.3)
    running.kill()
    assert running.wait() == -signal.SIGKILL


def test_a_machine_that_is_not_known_has_none() -> None:
    with pytest.raises(RuntimeFailure, match="s390x"):
        pause.layer("s390x")


def test_frames_are_split_wherever_they_are_cut() -> None:
    data = b"\x01\0\0\0\0\0\0\x03abc" + b"\x02\0\0\0\0\0\0\0" + b"\x02\0\0\0\0\0\0\x02de"
    whole = [("stdout", b"abc"), ("stderr", b""), ("stderr", b"de")]
    for cut in range(len(data) + 1):
        first, rest = connection.split(data[:cut])
        second, left = connection.split(rest + data[cut:])
        assert [*first, *second] == whole and left == b""
