"""AWS's service models as botocore ships them, in a small file of our own that is read shape by shape.

botocore's models hold all documentation and are decoded whole (EC2: 60 MB of Python objects), which a control plane
of 40 MB cannot afford. ``build`` writes what the gateway needs of them into an SQLite file, in a process of its own;
``Models`` then reads single operations and shapes on first use. ``python -m dryport.gateway.models`` makes the file
ahead of time; one that botocore has outgrown is made again by whoever opens it.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from dryport.gateway import patterns

_FORMAT = 3  # counts up when what is written changes


class Member(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A reference to a shape, with what the reference itself says: a structure's member, or a list's."""

    shape: str
    location: str | None = None
    locationName: str | None = None
    queryName: str | None = None
    flattened: bool = False
    streaming: bool = False
    jsonvalue: bool = False
    xmlAttribute: bool = False
    xmlNamespace: Any = None
    timestampFormat: str | None = None
    idempotencyToken: bool = False
    eventpayload: bool = False
    eventheader: bool = False


class ErrorTraits(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How an error shape shows on the wire."""

    code: str | None = None
    httpStatusCode: int | None = None
    senderFault: bool = False


class Shape(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A shape of a model, without its documentation. ``regex`` is ``pattern`` in Python's syntax."""

    type: str
    members: dict[str, Member] = {}
    required: list[str] = []
    member: Member | None = None
    key: Member | None = None
    value: Member | None = None
    enum: list[str] | None = None
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    regex: str | None = None
    sensitive: bool = False
    locationName: str | None = None
    payload: str | None = None
    flattened: bool = False
    exception: bool = False
    error: ErrorTraits | None = None
    fault: bool = False
    xmlNamespace: Any = None
    timestampFormat: str | None = None
    streaming: bool = False
    union: bool = False
    eventstream: bool = False
    document: bool = False
    jsonvalue: bool = False


class Http(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An operation's place in HTTP."""

    method: str = "POST"
    requestUri: str = "/"
    responseCode: int = 200


class InputReference(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An operation's input or output."""

    shape: str
    locationName: str | None = None
    xmlNamespace: Any = None
    resultWrapper: str | None = None


class OperationModel(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An operation of a model."""

    name: str
    http: Http = Http()
    input: InputReference | None = None
    output: InputReference | None = None
    errors: list[InputReference] = []
    authtype: str | None = None
    auth: list[str] = []
    deprecated: bool = False


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A service's metadata."""

    apiVersion: str
    endpointPrefix: str
    protocol: str
    protocols: list[str] = []
    jsonVersion: str = "1.1"
    targetPrefix: str = ""
    signingName: str = ""
    serviceId: str = ""
    xmlNamespace: Any = None
    awsQueryCompatible: Any = None
    globalEndpoint: str | None = None

    @property
    def signing_name(self) -> str:
        """The service's name in a signature's scope."""
        return self.signingName or self.endpointPrefix


class _Document(msgspec.Struct):
    metadata: Metadata
    operations: dict[str, OperationModel]
    shapes: dict[str, Shape]


_SCHEMA = """
CREATE TABLE services (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, metadata BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE operations (service TEXT, name TEXT, uri BLOB, body BLOB NOT NULL, PRIMARY KEY (service, name))
    WITHOUT ROWID;
CREATE TABLE shapes (service TEXT, name TEXT, body BLOB NOT NULL, PRIMARY KEY (service, name)) WITHOUT ROWID;
"""


# Models of Dryport's own, laid out as botocore's are: AWS_DATA_PATH makes them known to boto3 and the AWS CLI.
OWN_MODELS = Path(__file__).parent / "data"


def _roots() -> list[Path]:
    spec = importlib.util.find_spec("botocore")  # finds it without importing it
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("botocore, whose service models drive the gateway, is not installed")
    return [Path(spec.submodule_search_locations[0]) / "data", OWN_MODELS]


def source(service: str) -> Path | None:
    """The model of a service by botocore's name, ``None`` where there is no such one."""
    if not service.replace("-", "").isalnum():
        return None
    for root in _roots():
        versions = sorted((root / service).iterdir(), reverse=True) if (root / service).is_dir() else []
        for version in versions:
            for name in ("service-2.json.gz", "service-2.json"):
                if (version / name).exists():
                    return version / name
    return None


def _fingerprint(source: Path) -> str:
    if source.is_relative_to(OWN_MODELS):
        # By what is in it: each copy of this program has it at a path of its own, and they may share the file.
        return f"{_FORMAT} {hashlib.sha256(source.read_bytes()).hexdigest()}"
    facts = source.stat()
    return f"{_FORMAT} {source} {facts.st_size} {facts.st_mtime_ns}"


def build(path: Path, services: Iterable[str]) -> None:
    """Write the models of these services into a new file, which appears whole or not at all."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
    scratch.unlink(missing_ok=True)
    try:
        connection = sqlite3.connect(scratch, isolation_level=None)
        connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA + "BEGIN;")
        for service in services:
            found = source(service)
            if found is not None:
                _build_service(connection, service, found)
        connection.execute("COMMIT")
        connection.close()
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _build_service(connection: sqlite3.Connection, service: str, source: Path) -> None:
    raw = source.read_bytes()
    document = msgspec.json.decode(gzip.decompress(raw) if source.suffix == ".gz" else raw, type=_Document)
    encode = msgspec.json.encode
    connection.execute(
        "INSERT INTO services VALUES (?, ?, ?)", (service, _fingerprint(source), encode(document.metadata))
    )
    connection.executemany(
        "INSERT INTO operations VALUES (?, ?, ?, ?)",
        (
            (service, name, encode([operation.http.method, operation.http.requestUri]), encode(operation))
            for name, operation in document.operations.items()
        ),
    )
    shapes = ((name, patterns.translate_shape(shape)) for name, shape in document.shapes.items())
    connection.executemany("INSERT INTO shapes VALUES (?, ?, ?)", ((service, name, encode(s)) for name, s in shapes))


# Those that have rooms: what is prepared at installation time, before anyone is waiting for it.
SERVICES = (
    "acm",
    "cloudtrail",
    "cloudwatch",
    "dryport",
    "ec2",
    "ecr",
    "ecs",
    "efs",
    "elb",
    "elbv2",
    "iam",
    "logs",
    "s3",
    "secretsmanager",
    "servicediscovery",
    "ssm",
    "sts",
)


def default_path() -> Path:
    """Where the file is kept: in the Python environment that botocore is in too, else in the user's cache directory."""
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / "share" / "dryport" / "models.db"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "dryport" / "models.db"


class ServiceModel:
    """One service's model. Shapes and operations are read when asked for and not kept here."""

    def __init__(self, connection: sqlite3.Connection, name: str, metadata: Metadata) -> None:
        self._connection = connection
        self.name = name
        self.metadata = metadata

    @property
    def protocols(self) -> Sequence[str]:
        """The protocols that the service speaks, the preferred one first."""
        metadata = self.metadata
        return metadata.protocols or (metadata.protocol,)

    def operations(self) -> list[tuple[str, str, str]]:
        """Every operation's name, HTTP method and URI template, in the model's order of names."""
        rows = self._connection.execute(
            "SELECT name, uri FROM operations WHERE service = ? ORDER BY name", (self.name,)
        ).fetchall()
        return [(name, *msgspec.json.decode(uri, type=tuple[str, str])) for name, uri in rows]

    def operation(self, name: str) -> OperationModel | None:
        """An operation by name, or ``None``."""
        row = self._connection.execute(
            "SELECT body FROM operations WHERE service = ? AND name = ?", (self.name, name)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=OperationModel)

    def shape(self, name: str) -> Shape:
        """A shape by name. Raises KeyError."""
        row = self._connection.execute(
            "SELECT body FROM shapes WHERE service = ? AND name = ?", (self.name, name)
        ).fetchone()
        if row is None:
            raise KeyError(f"{self.name} has no shape {name}")
        return msgspec.json.decode(row[0], type=Shape)

    def errors(self) -> list[tuple[str, Shape]]:
        """Every error's shape, with its name."""
        rows = self._connection.execute(
            # Debian's SQLite finds nothing in a BLOB with LIKE.
            "SELECT name, body FROM shapes WHERE service = ? AND CAST(body AS TEXT) LIKE '%\"exception\":true%'",
            (self.name,),
        ).fetchall()
        return [(name, msgspec.json.decode(body, type=Shape)) for name, body in rows]


class Models:
    """The models of some services."""

    def __init__(self, services: Iterable[str], path: Path | None = None) -> None:
        """Open the file, written anew where a model is missing from it or botocore has changed."""
        self._names = sorted(set(services))
        self._path = path or default_path()
        connection = self._fresh()
        if connection is None:
            connection = self._rebuild()
        self._connection = connection
        rows = connection.execute("SELECT name, metadata FROM services").fetchall()
        self._metadata = {name: msgspec.json.decode(body, type=Metadata) for name, body in rows}

    def _fresh(self) -> sqlite3.Connection | None:
        if not self._path.exists():
            return None
        connection = sqlite3.connect(f"file:{self._path}?mode=ro&immutable=1", uri=True)
        try:
            connection.execute("PRAGMA cache_size=-128")  # KiB: each shape is read once
            known = dict(connection.execute("SELECT name, fingerprint FROM services").fetchall())
        except sqlite3.Error:
            known = {}
        # What others have use for stays in the file when it is written anew.
        self._names = sorted({*self._names, *(name for name in known if source(name))})
        for name in self._names:
            found = source(name)
            if found is None:
                raise LookupError(f"botocore has no service {name}")
            if known.get(name) != _fingerprint(found):
                connection.close()
                return None
        return connection

    def _rebuild(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "dryport.gateway.models", "--build", str(self._path), *self._names]
        subprocess.run(command, check=True)
        connection = self._fresh()
        if connection is None:
            raise RuntimeError(f"the service models could not be written to {self._path}")
        return connection

    @cache  # noqa: B019 - one object lives as long as the process
    def service(self, name: str) -> ServiceModel:
        """The model of a service, by botocore's name. Raises KeyError."""
        return ServiceModel(self._connection, name, self._metadata[name])


def main() -> None:
    """Entry point of ``python -m dryport.gateway.models``: makes the file, where it is missing or out of date.

    With ``--build PATH SERVICE...`` it writes that file whatever is there.
    """
    if sys.argv[1:2] == ["--build"]:
        build(Path(sys.argv[2]), sys.argv[3:])
    else:
        Models(SERVICES)


if __name__ == "__main__":
    main()
