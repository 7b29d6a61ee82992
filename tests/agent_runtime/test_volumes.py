"""Volumes as Docker has them: those that the image declares, and empty ones that get the image's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dryport.agent.runtime.containerd import volumes
from dryport.agent.runtime.interface import Mount
from tests.agent_runtime.conftest import Box
from tests.agent_runtime.daemons import Host
from tests.agent_runtime.registry import Layer, Registry, base

pytestmark = pytest.mark.platform


@pytest.fixture
async def declared(registry: Registry, box: Box) -> str:
    """An image with a volume that has files."""
    files = Layer(files={"data/sub/file": b"from the image\n"}, directories=["data", "data/sub", "empty"])
    registry.push("volumes", [base(), files], Env=["PATH=/bin"], Volumes={"/data": {}, "/empty": {}, "/new": {}})
    image = f"{registry.host}/volumes:1"
    await box.runtime.pull(image, None)
    return image


async def test_a_declared_volume_has_the_images_files_and_can_be_written(box: Box, declared: str) -> None:
    script = "cat /data/sub/file; echo mine > /data/sub/file; echo new > /new/file; cat /data/sub/file /new/file"
    printed = await box.output(script, image=declared, read_only_root=True)
    assert printed.splitlines() == ["from the image", "mine", "new"]
    again = await box.output("cat /data/sub/file; ls /new", image=declared)
    assert again == "from the image"  # each container has its own


async def test_a_mount_takes_a_declared_volumes_place(box: Box, declared: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("the host's\n")
    mounts = [Mount(target="/data", source=str(tmp_path))]
    assert await box.output("ls /data; cat /data/mine", image=declared, mounts=mounts) == "mine\nthe host's"


async def test_an_empty_volume_is_filled_once(host: Host, box: Box, declared: str, tmp_path: Path) -> None:
    if host.name != "containerd":
        pytest.skip("Docker fills only volumes of its own")
    mounts = [Mount(target="/data", source=str(tmp_path), fill=True)]
    assert await box.output("cat /data/sub/file; rm /data/sub/file", image=declared, mounts=mounts) == "from the image"
    assert await box.output("ls /data/sub", image=declared, mounts=mounts) == ""


def test_no_link_leads_out_of_the_image(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "etc").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    assert volumes.inside(root, "/etc/") == root / "etc"
    assert volumes.inside(root, "/link") is None
    assert volumes.inside(root, "/etc/../../outside") is None
    assert volumes.inside(root, "/none") is None
