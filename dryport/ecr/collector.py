"""Removes what no image needs any more: abandoned uploads, unused layers, blobs that no repository holds."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import msgspec

from dryport.ecr.contents import Contents
from dryport.ecr.model import BLOBS, IMAGES, LAYERS, REPOSITORIES, UPLOADS
from dryport.store import Reader, Transaction

EVERY = 600.0  # seconds between sweeps
LAYER_GRACE = 3600.0  # seconds that a layer which no image has is kept: a push may be on its way
UPLOAD_GRACE = 24 * 3600.0  # seconds that an upload may take
log = logging.getLogger("dryport.ecr")


class Swept(msgspec.Struct):
    """How many of each a sweep removed."""

    uploads: int = 0
    layers: int = 0
    blobs: int = 0
    leftovers: int = 0


class Collector:
    """A loop of the control plane. Its first sweep also removes files that a crash left without a row."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._store = contents.store

    async def run(self) -> None:
        """Sweep now and then until cancelled."""
        leftovers = True
        while True:
            try:
                swept = await self.sweep(leftovers=leftovers)
                leftovers = False
                if swept != Swept():
                    log.info("collected %s", swept)
            except Exception:
                log.exception("the registry could not be swept; again in %.0f s", EVERY)
            await self._contents.context.clock.sleep(EVERY)

    async def sweep(self, *, leftovers: bool) -> Swept:
        """Remove what is unneeded now; with ``leftovers`` files without a row, too (lists every file)."""
        swept = Swept()
        swept.uploads = await self._sweep_uploads()
        swept.layers = await self._sweep_layers()
        swept.blobs = await self._sweep_blobs()
        if leftovers:
            swept.leftovers = await self._sweep_leftovers()
        return swept

    async def _sweep_uploads(self) -> int:
        oldest = self._contents.now() - UPLOAD_GRACE
        count = 0
        for upload in list(self._store.reader.all(UPLOADS)):
            if upload.started_at <= oldest and not self._contents.upload_locks.held(upload.id):
                await self._contents.cancel_upload(upload.id)
                count += 1
        return count

    async def _sweep_layers(self) -> int:
        oldest = self._contents.now() - LAYER_GRACE
        count = 0
        for repository in list(self._store.reader.all(REPOSITORIES)):
            reader = self._store.reader
            keys = [key for key in reader.keys(LAYERS, "repository", repository.arn) if _is_unused(reader, key, oldest)]
            if keys:
                count += await self._store.transact(partial(_drop_layers, keys=keys, oldest=oldest))
            await asyncio.sleep(0)
        return count

    async def _sweep_blobs(self) -> int:
        count = 0
        for number in range(256):
            reader = self._store.reader
            for digest in [each for each in reader.keys(BLOBS, "shard", f"{number:02x}") if _is_unheld(reader, each)]:
                async with self._contents.digest_locks.hold(digest):
                    # Durable before the bytes go: a row never lacks them.
                    if await self._store.transact(partial(_drop_blob, digest=digest)):
                        await self._contents.blobs.delete(digest)
                        count += 1
            await asyncio.sleep(0)
        return count

    async def _sweep_leftovers(self) -> int:
        count = 0
        blobs = self._contents.blobs
        for digest in await blobs.digests():
            if self._store.reader.get(BLOBS, digest) is None:
                async with self._contents.digest_locks.hold(digest):
                    if self._store.reader.get(BLOBS, digest) is None:
                        await blobs.delete(digest)
                        count += 1
        for upload in await blobs.uploads():
            if self._store.reader.get(UPLOADS, upload) is None and not self._is_busy(upload):
                await blobs.discard(upload)
                count += 1
        return count

    def _is_busy(self, upload: str) -> bool:
        contents = self._contents
        return contents.upload_locks.held(upload) or contents.digest_locks.held(upload.replace("-", ":", 1))


def _is_unused(reader: Reader, key: str, oldest: float) -> bool:
    if reader.count(IMAGES, "blob", key):
        return False
    layer = reader.get(LAYERS, key)
    return layer is not None and layer.added_at <= oldest


def _drop_layers(tx: Transaction, keys: list[str], oldest: float) -> int:
    unused = [key for key in keys if _is_unused(tx, key, oldest)]
    for key in unused:
        tx.delete(LAYERS, key)
    return len(unused)


def _is_unheld(reader: Reader, digest: str) -> bool:
    return not reader.count(LAYERS, "digest", digest) and not reader.count(IMAGES, "digest", digest)


def _drop_blob(tx: Transaction, digest: str) -> bool:
    if tx.get(BLOBS, digest) is None or not _is_unheld(tx, digest):
        return False
    tx.delete(BLOBS, digest)
    return True
