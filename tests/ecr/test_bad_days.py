"""The process killed in the middle of a push, a full disk, many clients with one layer, clients that go away."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ecr.conftest import Registry, make_image, relative, sha256

MIB = 1 << 20


def test_kill_between_chunks(own_registry: Registry) -> None:
    registry = own_registry
    name = registry.repository()
    content = os.urandom(5 * MIB)
    location = registry.start_upload(name)
    sent = registry.http("PATCH", location, content[: 2 * MIB])
    assert sent.headers["range"] == f"0-{2 * MIB - 1}"
    registry.kill()
    registry.start()
    status = registry.http("GET", location)
    assert (status.status, status.headers["range"]) == (204, f"0-{2 * MIB - 1}")
    rest = {"Content-Range": f"{2 * MIB}-{5 * MIB - 1}"}
    assert registry.http("PATCH", location, content[2 * MIB :], rest).status == 202
    assert registry.http("PUT", location, b"", digest=sha256(content)).status == 201
    assert registry.http("GET", f"/v2/{name}/blobs/{sha256(content)}").body == content


def test_kill_in_the_middle_of_a_chunk(own_registry: Registry) -> None:
    registry = own_registry
    name = registry.repository()
    content = os.urandom(12 * MIB)
    location = registry.start_upload(name)
    with half_a_request(registry, location, content, 6 * MIB):
        wait_until(lambda: upload_size(registry) >= 4 * MIB)
        registry.kill()
    registry.start()
    here = int(registry.http("GET", location).headers["range"].partition("-")[2]) + 1
    assert 4 * MIB <= here <= 6 * MIB
    rest = {"Content-Range": f"{here}-{len(content) - 1}"}
    assert registry.http("PATCH", location, content[here:], rest).status == 202
    assert registry.http("PUT", location, b"", digest=sha256(content)).status == 201


def test_what_was_acknowledged_is_there_after_a_kill(own_registry: Registry) -> None:
    """Several clients push until the server is killed under them."""
    registry = own_registry
    name = registry.repository()
    acknowledged: list[tuple[str, bytes]] = []

    def push_on(number: int) -> None:
        while True:
            image = make_image(2)
            try:
                for digest, blob in image.blobs.items():
                    registry.push_blob(name, blob, digest)
                    acknowledged.append((f"blobs/{digest}", blob))
                if registry.put_manifest(name, image, f"t{number}").status == 201:
                    acknowledged.append((f"manifests/{image.digest}", image.manifest))
            except OSError:
                return
            except Exception as error:
                assert "RemoteDisconnected" in repr(error) or "IncompleteRead" in repr(error)
                return

    threads = [threading.Thread(target=push_on, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 30)
    registry.kill()
    for thread in threads:
        thread.join()
    registry.start()
    for path, content in acknowledged:
        assert registry.http("GET", f"/v2/{name}/{path}").body == content
    for tag in registry.http("GET", f"/v2/{name}/tags/list").json()["tags"]:
        assert registry.http("GET", f"/v2/{name}/manifests/{tag}").status == 200


def test_many_push_the_same_layer(own_registry: Registry) -> None:
    registry = own_registry
    names = [registry.repository() for _ in range(2)]
    content = os.urandom(3 * MIB)
    digest = sha256(content)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: registry.push_blob(names[n % 2], content), range(16)))
    assert set(done) == {digest}
    for name in names:
        assert registry.http("GET", f"/v2/{name}/blobs/{digest}").body == content
    assert [path.name for path in registry.files.glob("blobs/*/*/*")] == [digest.partition(":")[2]]
    assert list((registry.files / "uploads").iterdir()) == []


def test_memory_does_not_grow_with_the_layer(own_registry: Registry) -> None:
    registry = own_registry
    name = registry.repository()
    registry.push_blob(name, bytes(MIB))
    before = peak_memory(registry)
    large = bytes(200 * MIB)
    digest = registry.push_blob(name, large)
    assert registry.http("GET", f"/v2/{name}/blobs/{digest}").body == large
    assert peak_memory(registry) - before < 24 * MIB


def test_a_client_that_goes_away_can_go_on(registry: Registry, repository: str) -> None:
    content = os.urandom(8 * MIB)
    location = registry.start_upload(repository)
    with half_a_request(registry, location, content, 3 * MIB):
        time.sleep(0.2)
    status = registry.http("GET", location)
    here = int(status.headers["range"].partition("-")[2]) + 1
    assert here <= 3 * MIB
    here = here if here > 1 else 0
    rest = {"Content-Range": f"{here}-{len(content) - 1}"}
    assert registry.http("PATCH", location, content[here:], rest).status == 202
    done = registry.http("PUT", location, b"", digest=sha256(content))
    assert registry.http("GET", relative(done.headers["location"])).body == content


def test_a_client_that_comes_back_does_not_wait_for_its_dead_connection(registry: Registry, repository: str) -> None:
    content = os.urandom(4 * MIB)
    location = registry.start_upload(repository)
    with half_a_request(registry, location, content, 2 * MIB):
        time.sleep(0.2)
        here = int(registry.http("GET", location).headers["range"].partition("-")[2]) + 1
        here = here if here > 1 else 0
        rest = {"Content-Range": f"{here}-{len(content) - 1}"}
        assert registry.http("PATCH", location, content[here:], rest).status == 202
        assert registry.http("PUT", location, b"", digest=sha256(content)).status == 201
    assert registry.http("GET", f"/v2/{repository}/blobs/{sha256(content)}").body == content


@pytest.mark.platform
def test_a_full_disk() -> None:
    """On a file system of 8 MiB: a clear error, nothing half left, and room again afterwards."""
    registry = Registry()
    registry.files.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(registry.files)], check=True)
    try:
        registry.start()
        name = registry.repository()
        kept = registry.push_blob(name, os.urandom(2 * MIB))
        large = os.urandom(12 * MIB)
        location = registry.start_upload(name)
        refused = registry.http("PATCH", location, large)
        assert refused.error == (507, "UNKNOWN")
        assert "disk is full" in refused.json()["errors"][0]["message"]
        assert registry.http("GET", location).status == 404
        monolithic = registry.http("POST", f"/v2/{name}/blobs/uploads/", large, digest=sha256(large))
        assert monolithic.error == (507, "UNKNOWN")
        assert list((registry.files / "uploads").iterdir()) == []
        registry.push(name, make_image(), "fits")
        assert registry.http("HEAD", f"/v2/{name}/blobs/{kept}").status == 200
        assert registry.http("HEAD", f"/v2/{name}/manifests/fits").status == 200
    finally:
        registry.stop()
        subprocess.run(["umount", str(registry.files)], check=True)
        subprocess.run(["rm", "-rf", str(registry.state_dir)], check=True)


class half_a_request:
    """A PATCH of whose body only so many bytes are sent while the block runs; then the connection is cut."""

    def __init__(self, registry: Registry, location: str, content: bytes, size: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", registry.port))
        token = base64.b64encode(f"AWS:{registry.password}".encode()).decode()
        head = (
            f"PATCH {location} HTTP/1.1\r\nHost: {registry.host}\r\nAuthorization: Basic {token}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + content[:size])

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        self.socket.close()


def peak_memory(registry: Registry) -> int:
    """Bytes that the server has had resident at most."""
    assert registry.process is not None
    lines = Path(f"/proc/{registry.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def upload_size(registry: Registry) -> int:
    return sum(path.stat().st_size for path in (registry.files / "uploads").iterdir())


def wait_until(reached: object) -> None:
    deadline = time.monotonic() + 30
    while not reached():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
