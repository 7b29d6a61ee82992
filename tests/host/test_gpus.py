"""The GPUs that instances get of the machine's: each has its own."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dryport.host.instances import devices


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    """Nodes as NVIDIA's driver makes them for eleven cards."""
    for minor in range(11):
        os.mknod(tmp_path / f"nvidia{minor}", 0o666 | stat.S_IFCHR, os.makedev(195, minor))
    for name, minor in (("nvidiactl", 255), ("nvidia-uvm", 254)):
        os.mknod(tmp_path / name, 0o666 | stat.S_IFCHR, os.makedev(195, minor))
    (tmp_path / "nvidia-caps").mkdir()
    return tmp_path


def test_each_instance_has_its_own(dev: Path) -> None:
    first = devices.gpus(2, (), dev)
    assert [each.name for each in first] == ["nvidia0", "nvidia1", "nvidia-uvm", "nvidiactl"]
    assert first[1].rule == "c 195:1 rwm"
    taken = [each.name for each in first[:2]]
    second = devices.gpus(9, taken, dev)
    assert [each.name for each in second[:9]] == [f"nvidia{number}" for number in range(2, 11)]
    with pytest.raises(devices.NoDevice, match="has 11 GPUs, 9 of them free; 10 are needed"):
        devices.gpus(10, taken, dev)
    assert devices.gpus(0, taken, dev) == []
