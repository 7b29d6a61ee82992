"""What the agent asks the instance metadata service of the EC2 instance that it runs on: its role's key, who it is.

Version 2 only, so that instances that require tokens are served too. Calls block for a few milliseconds: the service is
as near as the instance's own network. Source: "Use the Instance Metadata Service", EC2 user guide.
"""

from __future__ import annotations

import datetime
import os
import socket
import time
from urllib.parse import urlsplit

import msgspec

from dryport.client import Credentials

_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
_ENDPOINT = "http://169.254.169.254"
_PATIENCE = 2.0  # seconds
_TOKEN_SECONDS = 21_600
_EARLY = 300.0  # seconds before its expiry that a key is read again: the service has a fresh one by then
_AGAIN = 5.0  # seconds until the service is asked again for a key that it has not renewed


class NotThere(Exception):
    """The metadata service does not answer, or has not what was asked for."""


class _Key(msgspec.Struct):
    AccessKeyId: str
    SecretAccessKey: str
    Token: str
    Expiration: datetime.datetime


class Instance:
    """The instance's metadata. Every method raises NotThere."""

    def __init__(self) -> None:
        address = urlsplit(os.environ.get(_VARIABLE, _ENDPOINT))
        self._address = (address.hostname or "", address.port or 80)
        self._token, self._token_until = "", 0.0
        self._key: Credentials | None = None
        self._read_again = 0.0

    def credentials(self) -> Credentials:
        """The key of the instance's role, good for some minutes at least."""
        now = time.time()
        if self._key is None or now >= self._read_again:
            try:
                self._key, expires = self._role_key()
                self._read_again = max(expires - _EARLY, now + _AGAIN)
            except NotThere:
                if self._key is None:
                    raise
                self._read_again = now + _AGAIN
        return self._key

    def identity(self) -> tuple[str, str]:
        """The instance identity document and its signature."""
        return self.get("dynamic/instance-identity/document"), self.get("dynamic/instance-identity/signature")

    def get(self, path: str) -> str:
        """What is at a path below ``/latest/``."""
        if time.time() >= self._token_until:
            headers = f"X-aws-ec2-metadata-token-ttl-seconds: {_TOKEN_SECONDS}\r\nContent-Length: 0\r\n"
            self._token = self._ask("PUT", "api/token", headers)
            self._token_until = time.time() + _TOKEN_SECONDS / 2
        return self._ask("GET", path, f"X-aws-ec2-metadata-token: {self._token}\r\n")

    def _role_key(self) -> tuple[Credentials, float]:
        roles = "meta-data/iam/security-credentials/"
        text = self.get(roles + self.get(roles).split("\n")[0])
        try:
            key = msgspec.json.decode(text, type=_Key)
        except msgspec.MsgspecError as error:
            raise NotThere(f"the role's key cannot be read: {error}") from error
        return Credentials(key.AccessKeyId, key.SecretAccessKey, key.Token), key.Expiration.timestamp()

    def _ask(self, method: str, path: str, headers: str) -> str:
        request = f"{method} /latest/{path} HTTP/1.1\r\nHost: {self._address[0]}\r\n{headers}Connection: close\r\n\r\n"
        answer = b""
        try:
            with socket.create_connection(self._address, _PATIENCE) as connection:
                connection.sendall(request.encode())
                while data := connection.recv(1 << 16):
                    answer += data
        except OSError as error:
            raise NotThere(f"the instance metadata service does not answer: {error}") from error
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head.split(b" ")[1:2]
        if status == [b"401"]:
            self._token_until = 0.0
        if status != [b"200"]:
            raise NotThere(f"the instance metadata service has no {path} ({head[:32]!r})")
        return body.decode()
