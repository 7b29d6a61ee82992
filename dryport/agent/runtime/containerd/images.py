"""The images that are here, kept by containerd."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from dryport.agent.runtime import pull_errors
from dryport.agent.runtime.containerd import registry_hosts
from dryport.agent.runtime.containerd.client import Client, ContainerdError
from dryport.agent.runtime.containerd.registry_head import RegistryHead
from dryport.agent.runtime.interface import Data, Image, PullError, RegistryAuth, RuntimeFailure
from dryport.agent.runtime.pulls import SharedPulls

# Seconds before each further attempt where the registry could not be reached; a missing image is asked for once more.
_BACKOFF = (0.25, 0.5, 1.0)


class Unpacked(Data, frozen=True, kw_only=True):
    """An image; ``id`` is the digest of its configuration, ``chain`` the chain id of its uppermost layer."""

    image: Image
    id: str
    chain: str


class Images:
    """Pulls and finds images; remembers what it found, so that a launch asks containerd nothing."""

    def __init__(self, client: Client, registries: Path, sleep: Callable[[float], Any] = asyncio.sleep) -> None:
        self._client = client
        self._registries = registries
        self._sleep = sleep
        self._known: dict[str, Unpacked] = {}
        self._layers: dict[str, list[str]] = {}
        self._head = RegistryHead()
        self._pulls = SharedPulls(self._pull)

    async def pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        """See ``Runtime.pull``."""
        return await self._pulls.pull(reference, auth)

    def load(self, reference: str, digest: str, root: Path, argv: list[str]) -> Image:
        """Have an image that containerd does not know: its only layer is a directory."""
        image = Image(reference=reference, digest=digest, entry_point=argv)
        self._known[reference] = Unpacked(image=image, id=digest, chain=digest)
        self._layers[digest] = [str(root)]
        return image

    async def find(self, reference: str) -> Unpacked | None:
        """An image that is here."""
        if reference in self._known:
            return self._known[reference]
        status = await self._client.image_status(reference)
        if status is None:
            return None
        try:
            digest = await self._client.target(canonical(reference))
        except ContainerdError as error:
            if not error.not_found:
                raise
            digest = status.id  # asked for by the configuration's digest: there is no manifest's to tell
        raw = await self._client.read(status.id)
        found = Unpacked(image=parse(reference, digest, raw), id=status.id, chain=chain_id(raw))
        self._known[reference] = found
        return found

    async def layers(self, chain: str) -> list[str]:
        """The unpacked layers' directories, uppermost first; they stay until ``forget``."""
        if chain not in self._layers:
            mounts = await self._client.view(_key(chain), chain)
            self._layers[chain] = lower_directories(mounts[0].type, mounts[0].source, list(mounts[0].options))
        return self._layers[chain]

    async def forget(self, id: str) -> None:
        """Remove an image with all its names, and let go of its layers."""
        for name in [name for name, known in self._known.items() if known.id == id]:
            del self._known[name]
        try:
            chain = chain_id(await self._client.read(id))
        except ContainerdError as error:
            if not error.not_found:
                raise
            return
        await self._client.remove_image(id)
        others = {image.id for image in await self._client.images()}
        still = [chain_id(await self._client.read(other)) for other in others]
        if chain not in still:
            self._layers.pop(chain, None)
            await self._client.remove_snapshot(_key(chain))

    async def ids(self) -> list[str]:
        """Every image that is here, by the digest of its configuration."""
        return [image.id for image in await self._client.images()]

    async def close(self) -> None:
        """Let go of the registries."""
        await self._head.close()

    async def _pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        known = self._known.get(reference)
        if known is not None and await self._head.digest(canonical(reference), auth) == known.image.digest:
            return known.image  # and whoever asks has just been let in by the registry
        registry_hosts.ensure(self._registries, registry_hosts.registry_of(reference))
        retries = 0
        while True:
            try:
                await self._client.pull(reference, auth)
                break
            except ContainerdError as error:
                again = pull_errors.transient(error.message)
                if retries >= (len(_BACKOFF) if again else 1) or "unauthorized" in error.message.lower():
                    raise PullError(pull_errors.words(error.message, retries), retryable=again) from error
                await self._sleep(_BACKOFF[retries])
                retries += 1
            except RuntimeFailure as error:
                raise PullError(error.message, retryable=True) from error
        self._known.pop(reference, None)
        found = await self.find(reference)
        if found is None:
            raise PullError(f"{reference} was removed while it was pulled", retryable=True)
        await self.layers(found.chain)
        return found.image


def canonical(reference: str) -> str:
    """A reference as containerd writes it: with its registry and its tag (``busybox`` is Docker Hub's ``latest``)."""
    name = reference
    if not registry_hosts.registry_of(reference):
        name = f"docker.io/{reference}" if "/" in reference else f"docker.io/library/{reference}"
    last = name.rsplit("/", 1)[-1]
    if "@" in name:
        # With a tag and a digest the digest counts.
        repository, digest = name.split("@", 1)
        head, _, tail = repository.rpartition("/")
        return f"{head}/{tail.split(':', 1)[0]}@{digest}"
    return name if ":" in last else f"{name}:latest"


def parse(reference: str, digest: str, raw: bytes) -> Image:
    """An ``Image`` from its configuration (OCI image specification, config.md, and Docker's additions)."""
    config = msgspec.json.decode(raw).get("config") or {}
    environment = dict(item.split("=", 1) for item in config.get("Env") or [] if "=" in item)
    return Image(
        reference=reference,
        digest=digest,
        entry_point=list(config.get("Entrypoint") or []),
        command=list(config.get("Cmd") or []),
        environment=environment,
        working_directory=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        volumes=sorted(config.get("Volumes") or {}),
        stop_signal=config.get("StopSignal") or "SIGTERM",
        health_check=config.get("Healthcheck"),
        labels=dict(config.get("Labels") or {}),
    )


def chain_id(raw: bytes) -> str:
    """The chain id of an image's uppermost layer, from its configuration (OCI image specification, "Layer ChainID")."""
    chain = ""
    for diff in msgspec.json.decode(raw)["rootfs"]["diff_ids"]:
        chain = diff if not chain else f"sha256:{hashlib.sha256(f'{chain} {diff}'.encode()).hexdigest()}"
    return chain


def lower_directories(kind: str, source: str, options: list[str]) -> list[str]:
    """The layers in what the overlay snapshotter answers: one layer comes as a bind mount, more as an overlay."""
    if kind == "bind":
        return [source]
    for option in options:
        name, _, value = option.partition("=")
        if name == "lowerdir":
            return value.split(":")
    raise RuntimeFailure("CannotCreateContainerError", f"containerd's snapshot has no layers: {kind} {options}")


def _key(chain: str) -> str:
    return f"dryport-{chain}"
