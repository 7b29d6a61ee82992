"""What is on root volumes: an ext4 file system of the volume's size, a copy of one that is made once a size."""

from __future__ import annotations

import errno
import shutil
import threading
import time
from pathlib import Path

from dryport.host import blocks
from dryport.host.instances import system

GIB = 1 << 30
_FEATURES = ("-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard")
_making = threading.Lock()


def make(file: Path, gib: int, templates: Path) -> None:
    """Make a root volume with the machine's system on it. Blocks for some 10 ms, a second the first time of a size.

    Raises OSError.
    """
    size = gib * GIB
    blocks.copy(_template(size, templates), file, size)


def fill(file: Path) -> None:
    """Have the file system on a root volume that has grown fill it, as every boot does on AWS's images.

    Raises OSError. Blocks.
    """
    if _ext4_size(file) < file.stat().st_size:
        blocks.run(["e2fsck", "-fp", str(file)], done=(0, 1))  # a killed instance has not written everything out
        blocks.run(["resize2fs", str(file)])


def _ext4_size(file: Path) -> int:
    """How many bytes the ext4 file system on a volume has. Raises OSError where there is none.

    Source: "Ext4 Disk Layout", kernel.org: the superblock, at byte 1024.
    """
    with file.open("rb") as volume:
        volume.seek(1024)
        block = volume.read(1024)
    if len(block) < 1024 or block[0x38:0x3A] != b"\x53\xef":
        raise OSError(errno.EINVAL, f"{file.name} has no ext4 file system to boot from")
    low, unit, high = (int.from_bytes(block[at : at + 4], "little") for at in (0x4, 0x18, 0x150))
    return (high << 32 | low) << (10 + unit)


def await_unused(file: Path, timeout: float = 10.0) -> None:
    """Wait until no loop device holds a volume: the kernel lets go of it just after its last process.

    Blocks. Raises TimeoutError after so many seconds.
    """
    deadline = time.monotonic() + timeout
    while devices := blocks.devices(file):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{file} stays in use by {', '.join(devices)}")
        time.sleep(0.002)


def _template(size: int, directory: Path) -> Path:
    """A root volume as it is before the first boot, of the machine's system as it is now."""
    mark = system.fingerprint()
    made = directory / f"{size // GIB}-{mark}.ext4"
    with _making:
        if made.exists():
            return made
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        blocks.ext4(made, size, *_FEATURES, "-d", str(_content(mark, directory)))
    return made


def _content(mark: str, directory: Path) -> Path:
    """What a fresh root volume holds, laid out once; what is left of another one goes, with the volumes made of it."""
    content = directory / f"root-{mark}"
    if not content.exists():
        for stale in (*directory.glob("*.ext4"), *directory.glob("root-*")):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        unfinished = directory / "root-new"
        unfinished.mkdir(mode=0o755)
        system.lay_out(unfinished)
        unfinished.rename(content)
    return content
