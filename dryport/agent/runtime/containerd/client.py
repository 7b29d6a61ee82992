"""Typed calls to containerd's socket. See ``api.proto`` for what is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message
from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from dryport.agent.runtime.containerd import api_pb2 as api
from dryport.agent.runtime.interface import RegistryAuth, RuntimeFailure

# The CRI keeps its images in this namespace of containerd's; a daemon of our own has no other user of it.
NAMESPACE = {"containerd-namespace": "k8s.io"}
SNAPSHOTTER = "overlayfs"
GC_ROOT = "containerd.io/gc.root"

Answer = TypeVar("Answer", bound=Message)


class ContainerdError(RuntimeFailure):
    """containerd's refusal: ``status`` and its own words."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__("ContainerRuntimeError", message)
        self.status = status

    @property
    def not_found(self) -> bool:
        """Whether what was asked for is not there."""
        return self.status is Status.NOT_FOUND


class Client:
    """A connection to containerd, made when first needed and again after the daemon was away."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._open: Channel | None = None

    async def version(self) -> str:
        """The daemon's version."""
        answer = await self._call(
            "runtime.v1.RuntimeService/Version", api.VersionRequest(), api.VersionRequest, api.VersionResponse
        )
        return answer.runtime_version

    async def pull(self, reference: str, auth: RegistryAuth | None) -> str:
        """Fetch, verify and unpack an image; the digest of its configuration."""
        request = api.PullImageRequest(image=api.ImageSpec(image=reference))
        if auth is not None:
            request.auth.username = auth.username
            request.auth.password = auth.password
        answer = await self._call(
            "runtime.v1.ImageService/PullImage", request, api.PullImageRequest, api.PullImageResponse
        )
        return answer.image_ref

    async def image_status(self, reference: str) -> api.CriImage | None:
        """An image by any of its names, or by the digest of its configuration."""
        answer = await self._call(
            "runtime.v1.ImageService/ImageStatus",
            api.ImageStatusRequest(image=api.ImageSpec(image=reference)),
            api.ImageStatusRequest,
            api.ImageStatusResponse,
        )
        return answer.image if answer.image.id else None

    async def images(self) -> list[api.CriImage]:
        """Every image."""
        answer = await self._call(
            "runtime.v1.ImageService/ListImages", api.ListImagesRequest(), api.ListImagesRequest, api.ListImagesResponse
        )
        return list(answer.images)

    async def remove_image(self, id: str) -> None:
        """Forget an image and all its names; containerd then frees what nothing else holds."""
        await self._call(
            "runtime.v1.ImageService/RemoveImage",
            api.RemoveImageRequest(image=api.ImageSpec(image=id)),
            api.RemoveImageRequest,
            api.RemoveImageResponse,
        )

    async def target(self, name: str) -> str:
        """The digest of the manifest or index that a name of containerd's points to."""
        answer = await self._call(
            "containerd.services.images.v1.Images/Get",
            api.GetImageRequest(name=name),
            api.GetImageRequest,
            api.GetImageResponse,
        )
        return answer.image.target.digest

    async def read(self, digest: str) -> bytes:
        """A blob, whole: for manifests and configurations."""

        async def call(channel: Channel) -> bytes:
            method = UnaryStreamMethod(
                channel, "/containerd.services.content.v1.Content/Read", api.ReadContentRequest, api.ReadContentResponse
            )
            parts = await method(api.ReadContentRequest(digest=digest), metadata=NAMESPACE)
            return b"".join(part.data for part in parts)

        return await self._on_channel(call)

    async def view(self, key: str, parent: str) -> list[api.Mount]:
        """The mounts of a read-only snapshot of ``parent`` (a chain id), kept until ``remove_snapshot``."""
        try:
            made = await self._call(
                "containerd.services.snapshots.v1.Snapshots/View",
                api.ViewSnapshotRequest(snapshotter=SNAPSHOTTER, key=key, parent=parent, labels={GC_ROOT: "dryport"}),
                api.ViewSnapshotRequest,
                api.ViewSnapshotResponse,
            )
            return list(made.mounts)
        except ContainerdError as error:
            if error.status is not Status.ALREADY_EXISTS:
                raise
        there = await self._call(
            "containerd.services.snapshots.v1.Snapshots/Mounts",
            api.MountsRequest(snapshotter=SNAPSHOTTER, key=key),
            api.MountsRequest,
            api.MountsResponse,
        )
        return list(there.mounts)

    async def remove_snapshot(self, key: str) -> None:
        """Let go of a snapshot; one that is not there is no error."""
        try:
            await self._call(
                "containerd.services.snapshots.v1.Snapshots/Remove",
                api.RemoveSnapshotRequest(snapshotter=SNAPSHOTTER, key=key),
                api.RemoveSnapshotRequest,
                api.Empty,
            )
        except ContainerdError as error:
            if not error.not_found:
                raise

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    async def _call(self, path: str, request: Message, request_type: type[Message], answer: type[Answer]) -> Answer:
        async def call(channel: Channel) -> Answer:
            method = UnaryUnaryMethod(channel, f"/{path}", request_type, answer)
            return await method(request, metadata=NAMESPACE)

        return await self._on_channel(call)

    async def _on_channel(self, call: Callable[[Channel], Awaitable[Answer2]]) -> Answer2:
        if self._open is None:
            self._open = Channel(path=str(self._socket))
        try:
            return await call(self._open)
        except GRPCError as error:
            raise ContainerdError(error.status, error.message or error.status.name) from error
        except (OSError, StreamTerminatedError) as error:
            raise RuntimeFailure("ContainerRuntimeError", f"containerd at {self._socket} is away: {error}") from error


Answer2 = TypeVar("Answer2")
