"""A registry of the tests' own, and a client that speaks the distribution API over plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
import pytest
from botocore.config import Config as ClientConfig

from tests.ecr.server import ACCESS_KEY, SECRET_KEY
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
ACCOUNT = "000000000000"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_JSON = "application/vnd.oci.empty.v1+json"


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def sha512(content: bytes) -> str:
    return "sha512:" + hashlib.sha512(content).hexdigest()


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json()["errors"][0]["code"]


@dataclass
class Image:
    """An image of a test: its blobs and its manifest."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifest: bytes = b""
    media_type: str = OCI_MANIFEST

    @property
    def digest(self) -> str:
        return sha256(self.manifest)


def descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content)}


def make_image(layers: int = 1, seed: str = "", **members: Any) -> Image:
    """An image whose content is new, unless a seed is given."""
    seed = seed or uuid.uuid4().hex
    config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
    parts = [f"{seed} layer {number}".encode() * 100 for number in range(layers)]
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [descriptor(part, OCI_LAYER) for part in parts],
        **members,
    }
    blobs = {sha256(blob): blob for blob in [config, *parts]}
    return Image(blobs, json.dumps(document).encode())


class Registry:
    """A server process and what a test needs of it."""

    def __init__(self) -> None:
        self.state_dir = Path(tempfile.mkdtemp(prefix="dp-ecr-", dir="/tmp"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.password = ""

    @property
    def host(self) -> str:
        return f"{ACCOUNT}.dkr.ecr.us-east-1.localhost:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def files(self) -> Path:
        return self.state_dir / "registry"

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.ecr.server", str(self.state_dir), str(self.port)]
        log = (self.state_dir / "server.log").open("ab")
        environment = {**os.environ, "DRYPORT_CHECK_ANSWERS": "1"}
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.state_dir / "server.log").read_text()) from None
                time.sleep(0.05)
        self.password = self.login(self.client())

    @staticmethod
    def login(client: Any) -> str:
        data = client.get_authorization_token()["authorizationData"][0]
        return base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def client(self, access_key: str = ACCESS_KEY, region: str = "us-east-1") -> Any:
        return boto3.client(
            "ecr",
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=SECRET_KEY,
            config=ClientConfig(retries={"max_attempts": 0}, parameter_validation=False),
        )

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "DOCKER_CONFIG": str(self.state_dir / "docker"),
        }

    def repository(self, **options: Any) -> str:
        """A new repository's name."""
        name = f"test/{uuid.uuid4().hex[:12]}"
        self.client().create_repository(repositoryName=name, **options)
        return name

    def http(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        password: str | None = None,
        host: str | None = None,
        **query: str,
    ) -> Response:
        """One request with a token; no redirect is followed, nothing is repeated."""
        if query:
            path += ("&" if "?" in path else "?") + urlencode(query)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        token = self.password if password is None else password
        fields = {"Host": host or self.host, **(headers or {})}
        if token:
            fields.setdefault("Authorization", "Basic " + base64.b64encode(f"AWS:{token}".encode()).decode())
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def start_upload(self, name: str) -> str:
        """The location of a new upload."""
        started = self.http("POST", f"/v2/{name}/blobs/uploads/")
        assert started.status == 202, started
        return relative(started.headers["location"])

    def push_blob(self, name: str, content: bytes, digest: str = "") -> str:
        digest = digest or sha256(content)
        done = self.http("PUT", self.start_upload(name), content, digest=digest)
        assert done.status == 201, done
        return digest

    def push(self, name: str, image: Image, reference: str = "") -> Response:
        for digest, blob in image.blobs.items():
            self.push_blob(name, blob, digest)
        return self.put_manifest(name, image, reference)

    def put_manifest(self, name: str, image: Image, reference: str = "") -> Response:
        return self.http(
            "PUT",
            f"/v2/{name}/manifests/{reference or image.digest}",
            image.manifest,
            {"Content-Type": image.media_type},
        )


def relative(location: str) -> str:
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def make_registry() -> Iterator[Registry]:
    made = Registry()
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.state_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """The registry that most tests share."""
    yield from make_registry()


@pytest.fixture
def own_registry() -> Iterator[Registry]:
    """A registry for one test alone: for killing and filling."""
    yield from make_registry()


@pytest.fixture
def repository(registry: Registry) -> str:
    return registry.repository()
