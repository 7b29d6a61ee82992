"""The image that the platform's tests run: Debian's busybox, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Platform
from tests.platform.support import Tasks, docker, push


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a local Docker image with a shell and its tools, made from Debian's busybox."""
    root: Path = tmp_path_factory.mktemp("busybox")
    for directory in ("bin", "etc", "tmp", "www"):
        (root / directory).mkdir()
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    applets = subprocess.run([root / "bin" / "busybox", "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000:web:/:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nweb:x:1000:\n")
    name = f"dryport-test/busybox:{uuid.uuid4().hex[:8]}"
    archive = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True).stdout
    subprocess.run(
        ["docker", "import", "-c", "ENV PATH=/bin", "-", name], input=archive, check=True, capture_output=True
    )
    yield name
    docker("rmi", name)


@pytest.fixture(scope="session")
def tasks(platform: Platform, busybox: str) -> Tasks:
    """Tasks of the busybox image on the platform that tests share."""
    return Tasks(platform, push(platform, busybox, "busybox"))


@pytest.fixture(scope="session")
def curl_tasks(platform: Platform, busybox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tasks]:
    """Tasks of an image that has curl too: busybox, which is linked statically, cannot read /etc/hosts."""
    root = tmp_path_factory.mktemp("curl")
    said = subprocess.run(["ldd", "/usr/bin/curl"], capture_output=True, text=True, check=True).stdout
    libraries = [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    for path in ("/usr/bin/curl", *libraries):
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(path).resolve(), target)
    (root / "Dockerfile").write_text(f"FROM {busybox}\nCOPY . /\n")
    name = f"{busybox.partition(':')[0]}-curl:{busybox.partition(':')[2]}"
    subprocess.run(["docker", "build", "-q", "-t", name, str(root)], check=True, capture_output=True)
    yield Tasks(platform, push(platform, name, "curl"))
    docker("rmi", name)
