"""A registry of the tests' own (Debian's docker-registry) and images made by hand, layer by layer."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
PASSWORD = "secret-password"
_HASHED = "$2b$04$RoCw5S/VRUsAYwZjgl37wOHBf/.a3HQ6OGL7mFIgAB6S2Z7Y.EA7e"  # bcrypt
APPLETS = (
    "sh sleep echo cat id env pwd dd head tail ls rm mkdir touch kill tr od ps mount true false printf seq grep yes"
)


@dataclass
class Layer:
    """Files of a layer: contents by path, links by path, and whiteouts."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    compression: str = "gzip"

    def tar(self) -> bytes:
        """The layer's archive."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in self.directories:
                entry = tarfile.TarInfo(path)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if path == "tmp" else 0o755
                archive.addfile(entry)
            for path, content in self.files.items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
            for path, target in self.links.items():
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                archive.addfile(entry)
        return out.getvalue()


def base() -> Layer:
    """Busybox with a few users."""
    return Layer(
        directories=["bin", "etc", "proc", "sys", "dev", "tmp", "var", "home"],
        files={
            "bin/busybox": Path("/bin/busybox").read_bytes(),
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home:/bin/sh\n",
            "etc/group": b"root:x:0:\nstaff:x:1001:\nextra:x:1002:app\n",
        },
        links={f"bin/{applet}": "busybox" for applet in APPLETS.split()},
    )


class Registry:
    """``docker-registry`` on a random port of loopback; ``secured`` makes it ask for credentials."""

    def __init__(self, home: Path, *, secured: bool = False) -> None:
        self.port = free_port()
        self.host = f"000000000000.dkr.ecr.us-east-1.localhost:{self.port}"
        self.loopback = f"127.0.0.1:{self.port}"
        self._authorization = ""
        home.mkdir(parents=True)
        config = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(home / "data")}},
            "http": {"addr": self.loopback},
            "log": {"level": "error"},
        }
        if secured:
            (home / "htpasswd").write_text(f"AWS:{_HASHED}\n")
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(home / "htpasswd")}}
            self._authorization = "Basic " + base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
        (home / "config.yml").write_text(json.dumps(config))
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(home / "config.yml")],
            stdout=subprocess.DEVNULL,
            stderr=(home / "log").open("w"),
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((home / "log").read_text())

    def push(self, name: str, layers: list[Layer], *, tag: str = "1", index: bool = False, **config: object) -> str:
        """Push an image; its digest."""
        described, diffs = [], []
        for layer in layers:
            tar = layer.tar()
            diffs.append(_digest(tar))
            if layer.compression == "zstd":
                blob = subprocess.run(["zstd", "-c"], input=tar, capture_output=True, check=True).stdout
            else:
                blob = gzip.compress(tar, 1, mtime=0)
            kind = f"application/vnd.oci.image.layer.v1.tar+{layer.compression}"
            described.append({"mediaType": kind, "digest": self._blob(name, blob), "size": len(blob)})
        image = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": diffs},
            }
        ).encode()
        kind = "application/vnd.oci.image.config.v1+json"
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": kind, "digest": self._blob(name, image), "size": len(image)},
                "layers": described,
            }
        ).encode()
        if not index:
            return self.manifest(name, tag, MANIFEST, manifest)
        digest = self.manifest(name, _digest(manifest), MANIFEST, manifest)
        platforms = [
            {"mediaType": MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 5, "platform": _platform("s390x")},
            {"mediaType": MANIFEST, "digest": digest, "size": len(manifest), "platform": _platform("amd64")},
        ]
        whole = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": platforms[1:]}).encode()
        return self.manifest(name, tag, INDEX, whole)

    def manifest(self, name: str, tag: str, kind: str, body: bytes) -> str:
        """Put a manifest."""
        self._request("PUT", f"/v2/{name}/manifests/{tag}", body, {"Content-Type": kind})
        return _digest(body)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _blob(self, name: str, blob: bytes) -> str:
        digest = _digest(blob)
        where = self._request("POST", f"/v2/{name}/blobs/uploads/", b"", {})
        mark = "&" if "?" in where else "?"
        path = where.removeprefix(f"http://{self.loopback}")
        self._request("PUT", f"{path}{mark}digest={digest}", blob, {"Content-Type": "application/octet-stream"})
        return digest

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> str:
        if self._authorization:
            headers = {**headers, "Authorization": self._authorization}
        request = urllib.request.Request(f"http://{self.loopback}{path}", data=body, method=method, headers=headers)
        with urllib.request.urlopen(request) as answer:
            return str(answer.headers.get("Location") or "")


def _platform(architecture: str) -> dict[str, str]:
    return {"os": "linux", "architecture": architecture}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
