"""A machine that joined by an activation: its identity, and the requests by which it has credentials of its role.

``docs/external-instances.md`` describes the requests.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from dryport.aws.proof import text_to_sign
from dryport.client.client import Credentials

PATH = "/_dryport/managed-instances"
_TIMEOUT = 15.0  # seconds


class Refused(Exception):
    """The control plane refused. ``code`` is its word for why, "" where it did not answer as one."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unanswered(Exception):
    """No answer came, or the control plane has trouble of its own: ask again."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the machine is to one control plane. ``private_key`` is the raw Ed25519 key."""

    endpoint: str
    instance_id: str
    account: str
    region: str
    private_key: bytes

    def __repr__(self) -> str:
        return f"Identity({self.instance_id})"


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """Credentials of the machine's role; ``expiration`` in seconds since the epoch."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: float

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.access_key_id, self.secret_access_key, self.session_token)

    def __repr__(self) -> str:
        return f"Session({self.access_key_id})"


def load(path: Path) -> Identity | None:
    """The identity that a file holds, ``None`` where there is none. Raises msgspec.MsgspecError, OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None


def save(path: Path, identity: Identity) -> None:
    """Keep an identity, with mode 0600."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(identity))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def new_key() -> bytes:
    """A new private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes_raw()


def join(endpoint: str, activation_id: str, activation_code: str, private_key: bytes) -> Identity:
    """Exchange an activation for an identity; the same key again is the same machine. Raises Refused, Unanswered."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_key = Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()
    application = {
        "activationId": activation_id,
        "activationCode": activation_code,
        "publicKey": base64.b64encode(public_key).decode(),
        "machine": facts(""),
    }
    answer = _ask("POST", endpoint + PATH, {}, json.dumps(application).encode())
    return Identity(
        endpoint=endpoint,
        instance_id=answer["instanceId"],
        account=answer["account"],
        region=answer["region"],
        private_key=private_key,
    )


def renew(identity: Identity, agent_version: str) -> Session:
    """Credentials of the machine's role, good for at least half an hour. Raises Refused, Unanswered."""
    body = json.dumps(facts(agent_version)).encode()
    answer = _signed(identity, "POST", f"{PATH}/{identity.instance_id}/credentials", body)
    return msgspec.convert(answer, Session)


def leave(identity: Identity) -> None:
    """Be managed no more. Raises Refused, Unanswered."""
    _signed(identity, "DELETE", f"{PATH}/{identity.instance_id}", b"")


def facts(agent_version: str) -> dict[str, str]:
    """What the machine says of itself."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return {
        "computerName": socket.getfqdn(),
        "platformName": release.get("NAME", platform.system()),
        "platformVersion": release.get("VERSION_ID", platform.release()),
        "agentVersion": agent_version,
    }


def _signed(identity: Identity, method: str, path: str, body: bytes) -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    date = str(int(time.time()))
    key = Ed25519PrivateKey.from_private_bytes(identity.private_key)
    signature = key.sign(text_to_sign(method, path, date, body))
    headers = {"X-Dryport-Date": date, "X-Dryport-Signature": base64.b64encode(signature).decode()}
    return _ask(method, identity.endpoint + path, headers, body)


def _ask(method: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data=body or None, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return msgspec.json.decode(answer.read(), type=dict[str, Any])
    except urllib.error.HTTPError as error:
        raise _refusal(error) from None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise Unanswered(f"{url} does not answer as a Dryport does: {error}") from None


def _refusal(error: urllib.error.HTTPError) -> Exception:
    text = error.read()
    try:
        said = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError:
        said = {}
    message = said.get("message") or f"HTTP {error.code}"
    if error.code >= 500 or error.code == 429:
        return Unanswered(message)
    return Refused(said.get("code", ""), message)
