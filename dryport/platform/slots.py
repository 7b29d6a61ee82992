"""Slots: what sets apart the Dryports that run on one machine (their public addresses, see ``Config.slot``).

A slot is a file that names the state directory it belongs to. It is kept while tasks may still run there, and free
again once that Dryport went down cleanly or its state directory is gone.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

SLOTS = Path("/run/dryport/slots")
COUNT = 128


class NoSlot(Exception):
    """Every slot of the machine is taken."""


def take(state_dir: Path, directory: Path = SLOTS) -> int:
    """The slot of a state directory: the one that it has, or the first free one. Raises NoSlot."""
    directory.mkdir(parents=True, exist_ok=True)
    owner = str(state_dir.resolve())
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        owners = {number: _owner(directory, number) for number in range(COUNT)}
        mine = [number for number, other in owners.items() if other == owner]
        free = [number for number, other in owners.items() if not other or not (Path(other) / "config.json").exists()]
        if not mine and not free:
            raise NoSlot(f"all {COUNT} slots in {directory} are taken: end a Dryport with `dryport down`")
        number = (mine or free)[0]
        unfinished = directory / f"{number}.new"
        unfinished.write_text(owner)
        os.replace(unfinished, directory / str(number))
        return number


def release(number: int, directory: Path = SLOTS) -> None:
    """Give a slot back."""
    (directory / str(number)).unlink(missing_ok=True)


def _owner(directory: Path, number: int) -> str:
    try:
        return (directory / str(number)).read_text()
    except FileNotFoundError:
        return ""
