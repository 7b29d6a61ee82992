"""The registry's contents: rows in the store together with bytes in the blob driver.

A blob's bytes are written before its row is durable, and its row is durably gone before its bytes are deleted, both
while its digest's lock is held. So a row always has its bytes; bytes without a row are what a crash left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from dryport.aws.identifiers import uuid4
from dryport.control.context import Context
from dryport.ecr import errors, images
from dryport.ecr.locks import KeyedLocks
from dryport.ecr.manifest import Manifest
from dryport.ecr.model import BLOBS, IMAGES, LAYERS, UPLOADS, Blob, Image, Repository, Upload, member
from dryport.ecr.storage import Blobs
from dryport.store import Transaction

# A layer that no image has, and that a client has just been told of, stays at least so long.
TOUCH_SECONDS = 60.0


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


class Contents:
    """What both APIs act on."""

    def __init__(self, context: Context, blobs: Blobs) -> None:
        self.context = context
        self.store = context.store
        self.blobs = blobs
        self.digest_locks = KeyedLocks()
        self.upload_locks = KeyedLocks()
        self._receiving: dict[str, asyncio.Task[Any]] = {}

    def now(self) -> float:
        return self.context.clock.time()

    async def begin_upload(self, repository: Repository) -> Upload:
        """Start an upload into a repository. Raises StorageFull."""
        upload = Upload(id=uuid4(self.context.random), repository_arn=repository.arn, started_at=self.now())

        def add(tx: Transaction) -> None:
            images.still_there(tx, repository)
            tx.put(UPLOADS, upload)

        # The row first: a file without a row is a leftover.
        await self.store.transact(add)
        await self.blobs.begin(upload.id)
        return upload

    @contextlib.asynccontextmanager
    async def turn(self, upload: str) -> AsyncIterator[None]:
        """Have an upload to oneself. Whoever still waits for bytes of it is cut off: its client has come back."""
        receiver = self._receiving.get(upload)
        if receiver is not None:
            receiver.cancel()
        async with self.upload_locks.hold(upload):
            yield

    @contextlib.contextmanager
    def receiving(self, upload: str) -> Iterator[None]:
        """While a client's bytes are awaited: the time in which a later ``turn`` may cut them off."""
        task = asyncio.current_task()
        if task is not None:
            self._receiving[upload] = task
        try:
            yield
        finally:
            self._receiving.pop(upload, None)

    async def upload(self, repository: Repository, id: str) -> tuple[Upload, int]:
        """An upload of a repository and how many bytes of it are here. Raises UploadNotFoundException."""
        found = self.store.reader.get(UPLOADS, id)
        size = await self.blobs.received(id) if found and found.repository_arn == repository.arn else None
        if found is None or size is None:
            raise errors.upload_not_found(id, repository.name, repository.account)
        return found, size

    async def cancel_upload(self, id: str) -> None:
        """Forget an upload and what is here of it."""
        await self.store.transact(lambda tx: tx.delete(UPLOADS, id))
        await self.blobs.discard(id)

    async def finish_upload(self, repository: Repository, id: str, digest: str) -> int:
        """Make an upload a layer of the repository and return its size.

        Raises DigestMismatch (the upload stays), StorageFull, RepositoryNotFoundException.
        """
        size = await self.blobs.verify(id, digest)

        def add(tx: Transaction) -> None:
            images.add_layer(tx, repository, digest, self.now())
            if tx.get(BLOBS, digest) is None:
                tx.put(BLOBS, Blob(digest=digest, size=size, stored_at=self.now()))
            tx.delete(UPLOADS, id)

        async with self.digest_locks.hold(digest):
            known = self.store.reader.get(BLOBS, digest) is not None
            if not known:
                await self.blobs.commit(id, digest)
            try:
                await self.store.transact(add)
            except BaseException:
                await self._drop_unlisted(digest)
                raise
        if known:
            await self.blobs.discard(id)
        return size

    async def put_manifest(
        self, repository: Repository, content: bytes, manifest: Manifest, digest: str, tag: str | None
    ) -> Image:
        """Put a manifest into the repository; its digest has been verified.

        Raises RepositoryNotFoundException, LayersNotFoundException, ReferencedImagesNotFoundException,
        ImageTagAlreadyExistsException, StorageFull.
        """
        reader = self.store.reader
        images.check_references(reader, repository, manifest)
        if tag is not None:
            images.check_tag(reader, repository, tag)
        async with self.digest_locks.hold(digest):
            if self.store.reader.get(BLOBS, digest) is None:
                await self.blobs.put(digest, content)
            try:
                return await self.store.transact(
                    lambda tx: images.add_image(tx, repository, manifest, digest, len(content), tag, self.now())
                )
            except BaseException:
                await self._drop_unlisted(digest)
                raise

    async def _drop_unlisted(self, digest: str) -> None:
        if self.store.reader.get(BLOBS, digest) is None:
            await self.blobs.delete(digest)

    async def find_layer(self, repository: Repository, digest: str) -> Blob | None:
        """A layer or manifest that the repository holds; who asks may count on it for a while."""
        reader = self.store.reader
        layer = reader.get(LAYERS, member(repository.arn, digest))
        if layer is None:
            return reader.get(BLOBS, digest) if reader.get(IMAGES, member(repository.arn, digest)) else None
        now = self.now()
        if now - layer.added_at > TOUCH_SECONDS and not images.is_used(reader, repository.arn, digest):
            await self.store.transact(lambda tx: _touch(tx, repository, digest, now))
        return self.store.reader.get(BLOBS, digest)


def _touch(tx: Transaction, repository: Repository, digest: str, now: float) -> None:
    if tx.get(LAYERS, member(repository.arn, digest)) is not None:
        images.add_layer(tx, repository, digest, now)
