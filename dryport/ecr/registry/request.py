"""One authenticated request to the registry, as its endpoints see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qs, quote, urlencode

from dryport.ecr import images, names
from dryport.ecr.contents import Contents
from dryport.ecr.model import Repository
from dryport.ecr.registry.errors import RegistryError
from dryport.ecr.registry.routes import Route
from dryport.gateway.http import Exchange
from dryport.store import Reader

Headers = list[tuple[str, str]]
API_VERSION = ("docker-distribution-api-version", "registry/2.0")


@dataclass
class Request:
    """``account`` and ``region`` are those of the registry that was addressed; ``body`` is read once."""

    exchange: Exchange
    body: AsyncIterator[bytes]
    route: Route
    contents: Contents
    account: str
    region: str

    @property
    def method(self) -> str:
        return self.exchange.method

    @property
    def reader(self) -> Reader:
        return self.contents.store.reader

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; of one that is repeated, the first."""
        query = parse_qs(self.exchange.query, keep_blank_values=True)
        return {name: values[0] for name, values in query.items()}

    def header(self, name: str) -> str:
        """A header, or an empty string."""
        return self.exchange.headers.get(name, "")

    @cached_property
    def repository(self) -> Repository:
        """The repository of the path. Raises RegistryError and RepositoryNotFoundException."""
        if not names.is_repository_name(self.route.name):
            raise RegistryError(400, "NAME_INVALID", f"'{self.route.name}' is not a repository name")
        return images.repository(self.reader, self.account, self.region, self.route.name)

    def location(self, kind: str, target: str) -> tuple[str, str]:
        """The Location header of something of this repository."""
        return ("location", f"/v2/{self.route.name}/{kind}/{target}")

    def next_page(self, path: str, count: int, last: str) -> tuple[str, str]:
        """The Link header to the page after ``last`` (RFC 8288)."""
        return ("link", f'<{quote(path)}?{urlencode({"n": count, "last": last})}>; rel="next"')

    def digest(self, text: str) -> str:
        """Check a digest. Raises RegistryError."""
        if not names.is_digest(text):
            raise RegistryError(400, "DIGEST_INVALID", f"'{text}' is not a digest of SHA-256 or SHA-512")
        return text

    async def settled(self) -> None:
        """Wait until what was read is durable; an answer may tell of it then."""
        await self.contents.store.settled()

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Answer."""
        self.exchange.respond(status, [API_VERSION, *headers], body)

    def respond_json(self, body: bytes, headers: Headers | None = None, media_type: str = "application/json") -> None:
        """Answer 200 with a JSON text."""
        fields = [("content-type", media_type), ("content-length", str(len(body))), *(headers or [])]
        self.respond(200, fields, b"" if self.method == "HEAD" else body)
