"""Pulling: from a registry in the clear, with credentials, indexes, compressions, whiteouts, and what goes wrong."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dryport.agent.runtime.interface import PullError, RegistryAuth, Runtime
from tests.agent_runtime.conftest import Box
from tests.agent_runtime.daemons import Host
from tests.agent_runtime.registry import PASSWORD, Layer, Registry, base
from tests.ports import free_port

pytestmark = pytest.mark.platform


@pytest.fixture(scope="session")
def secured(scratch: Path) -> Iterator[Registry]:
    """A registry that asks for credentials."""
    served = Registry(scratch / "secured", secured=True)
    served.push("private", [base()])
    yield served
    served.stop()


async def test_digest_and_configuration(runtime: Runtime, registry: Registry) -> None:
    config: dict[str, Any] = {"Entrypoint": ["/bin/sh"], "Cmd": ["-c", "true"], "User": "app", "StopSignal": "SIGINT"}
    config |= {"Labels": {"a": "b"}, "Volumes": {"/data": {}}}
    digest = registry.push("configured", [base()], **config)
    image = await runtime.pull(f"{registry.host}/configured:1", None)
    assert (image.digest, image.entry_point, image.command) == (digest, ["/bin/sh"], ["-c", "true"])
    assert (image.user, image.stop_signal, image.labels, image.volumes) == ("app", "SIGINT", {"a": "b"}, ["/data"])
    assert await runtime.image(f"{registry.host}/configured:1") == image
    assert await runtime.image(f"{registry.host}/other:1") is None
    by_digest = await runtime.pull(f"{registry.host}/configured@{digest}", None)
    assert by_digest.digest == digest


async def test_a_moved_tag_is_pulled_anew(runtime: Runtime, registry: Registry) -> None:
    first = registry.push("moving", [base(), Layer(files={"v": b"1"})])
    assert (await runtime.pull(f"{registry.host}/moving:1", None)).digest == first
    second = registry.push("moving", [base(), Layer(files={"v": b"2"})])
    assert (await runtime.pull(f"{registry.host}/moving:1", None)).digest == second
    assert (await _text(runtime, f"{registry.host}/moving:1", "cat /v")) == "2"


async def test_layers(runtime: Runtime, registry: Registry) -> None:
    """Whiteouts, opaque directories, zstd, and an index."""
    layers = [
        base(),
        Layer(directories=["d"], files={"gone": b"x", "d/old": b"x", "kept": b"kept"}, compression="zstd"),
        Layer(directories=["d"], files={".wh.gone": b"", "d/.wh..wh..opq": b"", "d/new": b"x"}),
    ]
    if runtime.name == "docker":
        layers[1].compression = "gzip"  # Docker 20.10 knows no zstd
    digest = registry.push("layered", layers, index=True)
    image = await runtime.pull(f"{registry.host}/layered:1", None)
    assert image.digest == digest
    assert (await _text(runtime, image.reference, "ls / /d; cat /kept")).split()[-3:] == ["/d:", "new", "kept"]
    assert "gone" not in await _text(runtime, image.reference, "ls /")


async def test_many_layers(runtime: Runtime, registry: Registry) -> None:
    """More than fit into one page of mount options by their whole paths."""
    registry.push("deep", [base(), *(Layer(files={f"f{n}": str(n).encode()}) for n in range(100))])
    reference = f"{registry.host}/deep:1"
    await runtime.pull(reference, None)
    assert await _text(runtime, reference, "cat /f0; echo; cat /f99; echo; ls / | grep -c ^f") == "0\n99\n100"


async def test_a_layer_cannot_write_outside_its_root(runtime: Runtime, registry: Registry, tmp_path: Path) -> None:
    class Hostile(Layer):
        def tar(self) -> bytes:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as archive:
                link = tarfile.TarInfo("out")
                link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
                archive.addfile(link)
                for name in ("out/a", f"../../../../../../../../../../..{tmp_path}/b", f"{tmp_path}/c"):
                    entry = tarfile.TarInfo(name)
                    entry.size = 1
                    archive.addfile(entry, io.BytesIO(b"x"))
            return out.getvalue()

    registry.push("hostile", [base(), Hostile()])
    with suppress(PullError):  # some refuse it, some unpack it inside the root
        await runtime.pull(f"{registry.host}/hostile:1", None)
    assert list(tmp_path.iterdir()) == []


async def test_credentials(runtime: Runtime, secured: Registry) -> None:
    reference = f"{secured.host}/private:1"
    for auth in (None, RegistryAuth(username="AWS", password="wrong")):
        with pytest.raises(PullError) as failure:
            await runtime.pull(reference, auth)
        assert "unauthorized" in failure.value.message.lower() or "no basic auth" in failure.value.message
        assert "wrong" not in failure.value.message and not failure.value.retryable
    right = RegistryAuth(username="AWS", password=PASSWORD)
    await runtime.pull(reference, right)
    assert PASSWORD not in repr(right)


async def test_missing_images(runtime: Runtime, registry: Registry) -> None:
    for reference in (f"{registry.host}/app:none", f"{registry.host}/none:1"):
        with pytest.raises(PullError) as failure:
            await runtime.pull(reference, None)
        assert failure.value.kind == "CannotPullContainerError" and not failure.value.retryable
        if runtime.name == "containerd":
            where = f"failed to resolve ref {reference}: {reference}: not found"
            assert failure.value.message == f"pull image manifest has been retried 1 time(s): {where}"
        else:
            assert failure.value.message.startswith("Error response from daemon: manifest for")
            assert "not found: manifest unknown" in failure.value.message


async def test_a_registry_that_is_away(runtime: Runtime) -> None:
    with pytest.raises(PullError, match="connection refused") as failure:
        await runtime.pull(f"127.0.0.1:{free_port()}/app:1", None)
    assert failure.value.retryable


async def test_a_reference_that_is_none(runtime: Runtime, registry: Registry) -> None:
    with pytest.raises(PullError, match="invalid reference format"):
        await runtime.pull(f"{registry.host}/UPPER CASE:1", None)


async def test_a_layer_that_is_not_what_its_digest_says(runtime: Runtime, registry: Registry, scratch: Path) -> None:
    name = f"broken-{runtime.name}"
    digest = registry.push(name, [base(), Layer(files={name: b"x" * 5000})])
    blobs = scratch / "registry/data/docker/registry/v2/blobs/sha256"
    manifest = json.loads((blobs / digest[7:9] / digest[7:] / "data").read_text())
    layer = manifest["layers"][1]["digest"][7:]
    served = blobs / layer[:2] / layer / "data"
    served.write_bytes(served.read_bytes()[:-1] + b"\xff")
    with pytest.raises(PullError):
        await runtime.pull(f"{registry.host}/{name}:1", None)
    assert await runtime.image(f"{registry.host}/{name}:1") is None


async def test_pulls_at_once_share_the_work(runtime: Runtime, registry: Registry) -> None:
    digest = registry.push("shared", [base(), Layer(files={"big": b"\0" * 30_000_000})])
    reference = f"{registry.host}/shared:1"
    pulls = [asyncio.create_task(runtime.pull(reference, None)) for _ in range(8)]
    await asyncio.sleep(0.01)
    pulls[0].cancel()  # one that gives up does not end the others
    done = await asyncio.gather(*pulls, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert {image.digest for image in done[1:] if not isinstance(image, BaseException)} == {digest}
    assert not [error for error in done[1:] if isinstance(error, BaseException)]


async def test_unused_images_go(host: Host, runtime: Runtime, registry: Registry) -> None:
    registry.push("old", [base(), Layer(files={"old": b"x"})])
    registry.push("young", [base(), Layer(files={"young": b"x"})])
    registry.push("held", [base(), Layer(files={"held": b"x"})])
    names = {name: f"{registry.host}/{name}:1" for name in ("old", "young", "held")}
    for reference in names.values():
        await runtime.pull(reference, None)
    box = Box(runtime, names["held"])
    held = await box.run("sleep 60")
    collector = runtime._collector  # type: ignore[attr-defined]
    for id in list(collector._last_used):
        collector._last_used[id] -= 7200
    await runtime.pull(names["young"], None)
    while await collector.collect():
        pass
    assert await runtime.image(names["old"]) is None
    assert await runtime.image(names["young"]) is not None and await runtime.image(names["held"]) is not None
    assert (await runtime.execute(held, ["/bin/cat", "/held"], 20)).output == b"x"
    await runtime.pull(names["old"], None)
    assert await _text(runtime, names["old"], "cat /old") == "x"


async def _text(runtime: Runtime, image: str, script: str) -> str:
    return await Box(runtime, image).output(script)


async def test_what_is_here_and_unchanged_is_not_pulled_again(host: Host, registry: Registry, runtime: Runtime) -> None:
    """The registry is asked all the same: it has the last word on the tag, and on who may have it."""
    if host.name != "containerd":
        pytest.skip("Docker's own affair")
    reference = f"{registry.host}/same:1"
    first = registry.push("same", [base()], Cmd=["1"])
    assert (await runtime.pull(reference, None)).digest == first
    await asyncio.to_thread(host.kill)
    try:
        assert (await runtime.pull(reference, None)).digest == first  # containerd has no part in it
    finally:
        await asyncio.to_thread(host.start)
    second = registry.push("same", [base()], Cmd=["2"])
    pulled = await runtime.pull(reference, None)
    assert (pulled.digest, pulled.command) == (second, ["2"]) and first != second
