"""What HAProxy notes of requests, taken piece by piece from a file that others write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dryport.host.balancers import requests


def write(directory: Path, content: bytes) -> None:
    file = requests.opened(directory)
    os.write(file, content)
    os.close(file)


def test_lines_are_taken_once_and_whole(tmp_path: Path) -> None:
    assert requests.take(tmp_path, 0, 1) == (b"", 0)
    write(tmp_path, b"one\ntwo\nthr")
    assert requests.take(tmp_path, 0, 100) == (b"", 0)
    assert requests.take(tmp_path, 0, 1) == (b"one\ntwo\n", 8)
    assert requests.take(tmp_path, 0, 1) == (b"one\ntwo\n", 8)  # until somebody says that he has it
    assert requests.take(tmp_path, 8, 1) == (b"", 8)
    write(tmp_path, b"ee\n")
    assert requests.take(tmp_path, 8, 1) == (b"three\n", 14)
    assert requests.take(tmp_path, 14, 1) == (b"", 14)
    assert requests.take(tmp_path, 99, 1)[1] == 14 or requests.take(tmp_path, 99, 1)[0] == b""  # of another file


def test_what_was_taken_takes_no_room(tmp_path: Path) -> None:
    lines = b"".join(b"%07d\n" % number for number in range(1 << 17))
    write(tmp_path, lines)
    content, end = requests.take(tmp_path, 0, 1)
    assert content == lines and end == len(lines)
    write(tmp_path, b"last\n")
    assert requests.take(tmp_path, end, 1) == (b"last\n", end + 5)
    assert os.stat(tmp_path / "requests.log").st_blocks * 512 <= 8192


def test_the_oldest_is_forgotten_where_nobody_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_MOST", 1 << 16)
    lines = b"".join(b"%07d\n" % number for number in range(1 << 15))
    write(tmp_path, lines)
    requests.bound(tmp_path)
    content, end = requests.take(tmp_path, 0, 1)
    assert end == len(lines) and lines.endswith(content)
    assert 1 << 14 < len(content) < 1 << 16 and len(content.splitlines()[0]) == 7
