"""Blobs as files: ``blobs/<algorithm>/<first two digits>/<hexadecimal>`` and ``uploads/<id>``.

An upload is written and hashed in a thread while the next bytes arrive, a mebibyte at a time; writing it back to
the disk starts early, so that the flush before the acknowledgement finds little left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dryport.ecr.storage.interface import DigestMismatch, StorageFull

if TYPE_CHECKING:
    from hashlib import _Hash

R = TypeVar("R")

_BATCH = 1 << 20  # bytes that are written and hashed at once
_WRITE_BACK = 32 << 20  # bytes after which the disk is told to begin
_READ = 1 << 20
_THREADS = 8
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def _full_is_said() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(error.strerror) from error
        raise


def _write_all(file: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_directory(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _hash_file(path: Path, algorithm: str, length: int | None = None) -> _Hash:
    """The hash of a file's first ``length`` bytes, or of all of it."""
    digest = hashlib.new(algorithm)
    buffer = bytearray(_READ)
    view = memoryview(buffer)
    left = length
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(view if left is None else view[: min(left, _READ)]):
            digest.update(view[:count])
            if left is not None:
                left -= count
    return digest


class FileBlobs:
    """Implements ``interface.Blobs`` in a directory of its own, on one file system."""

    def __init__(self, directory: Path) -> None:
        self._blobs = directory / "blobs"
        self._uploads = directory / "uploads"
        for path in (directory, self._blobs, self._uploads):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
        # SHA-256 states of uploads under way, with the size they stand for: made anew from the file where lost.
        self.hashes: dict[str, tuple[int, _Hash]] = {}

    async def run(self, work: Callable[[], R]) -> R:
        """Run ``work`` in one of the driver's threads."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    def path(self, digest: str) -> Path:
        algorithm, _, hexadecimal = digest.partition(":")
        return self._blobs / algorithm / hexadecimal[:2] / hexadecimal

    def upload_path(self, upload: str) -> Path:
        """The file of an upload."""
        return self._uploads / upload

    async def begin(self, upload: str) -> None:
        def create() -> None:
            with _full_is_said():
                os.close(os.open(self.upload_path(upload), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

        await self.run(create)
        self.hashes[upload] = (0, hashlib.sha256())

    async def received(self, upload: str) -> int | None:
        try:
            return self.upload_path(upload).stat().st_size
        except FileNotFoundError:
            return None

    def append(self, upload: str) -> FileWriter:
        return FileWriter(self, upload)

    def sha256(self, upload: str, size: int) -> _Hash:
        """The SHA-256 state of an upload's first ``size`` bytes; blocks."""
        known = self.hashes.pop(upload, None)
        if known is not None and known[0] == size:
            return known[1]
        return _hash_file(self.upload_path(upload), "sha256", size)

    async def verify(self, upload: str, digest: str) -> int:
        path, algorithm = self.upload_path(upload), digest.partition(":")[0]

        def check() -> int:
            size = path.stat().st_size
            if algorithm == "sha256":
                state = self.sha256(upload, size)
                self.hashes[upload] = (size, state)
            else:
                state = _hash_file(path, algorithm)
            actual = f"{algorithm}:{state.hexdigest()}"
            if actual != digest:
                raise DigestMismatch(digest, actual)
            return size

        return await self.run(check)

    async def commit(self, upload: str, digest: str) -> None:
        await self.run(lambda: self._publish(self.upload_path(upload), digest))
        self.hashes.pop(upload, None)

    def _publish(self, source: Path, digest: str) -> None:
        target = self.path(digest)
        with _full_is_said():
            file = os.open(source, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)
            if not target.parent.is_dir():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sync_directory(target.parent.parent)
                _sync_directory(self._blobs)
            source.rename(target)
            _sync_directory(target.parent)

    async def discard(self, upload: str) -> None:
        self.hashes.pop(upload, None)
        await self.run(lambda: self.upload_path(upload).unlink(missing_ok=True))

    async def put(self, digest: str, content: bytes) -> None:
        temporary = self._uploads / digest.replace(":", "-")

        def write() -> None:
            try:
                with _full_is_said(), temporary.open("wb", buffering=0) as file:
                    _write_all(file.fileno(), content)
                self._publish(temporary, digest)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

        await self.run(write)

    async def read(self, digest: str) -> bytes:
        return await self.run(self.path(digest).read_bytes)

    async def delete(self, digest: str) -> None:
        await self.run(lambda: self.path(digest).unlink(missing_ok=True))

    async def digests(self) -> list[str]:
        def walk() -> list[str]:
            return [f"{path.parts[-3]}:{path.name}" for path in self._blobs.glob("*/*/*")]

        return await self.run(walk)

    async def uploads(self) -> list[str]:
        return await self.run(lambda: os.listdir(self._uploads))


class FileWriter:
    """Implements ``interface.Writer``: one batch is in a thread while the next one gathers."""

    def __init__(self, blobs: FileBlobs, upload: str) -> None:
        self._blobs = blobs
        self._upload = upload
        self._gathered: list[bytes] = []
        self._length = 0
        self._unsynced = 0
        self._batch: Future[None] | None = None
        self._write_back: Future[None] | None = None
        self._hash: _Hash
        self.size = 0

    async def __aenter__(self) -> FileWriter:
        self._file = os.open(self._blobs.upload_path(self._upload), os.O_WRONLY | os.O_APPEND)
        self.size = os.fstat(self._file).st_size
        self._hash = await self._blobs.run(lambda: self._blobs.sha256(self._upload, self.size))
        return self

    async def write(self, chunk: bytes) -> None:
        self._gathered.append(chunk)
        self._length += len(chunk)
        self.size += len(chunk)
        if self._length >= _BATCH:
            await self._hand_over()

    async def _hand_over(self) -> None:
        await self._batch_done()
        batch, self._gathered = self._gathered, []
        self._unsynced += self._length
        self._length = 0
        self._batch = self._blobs.threads.submit(self._append, batch)
        if self._unsynced >= _WRITE_BACK and (self._write_back is None or self._write_back.done()):
            self._unsynced = 0
            await self._written_back()
            self._write_back = self._blobs.threads.submit(self._sync)

    def _append(self, batch: list[bytes]) -> None:
        # One copy here costs less than taking the interpreter's lock twice a chunk.
        data = b"".join(batch)
        with _full_is_said():
            _write_all(self._file, data)
        self._hash.update(data)

    def _sync(self) -> None:
        with _full_is_said():
            os.fdatasync(self._file)

    async def _batch_done(self) -> None:
        if self._batch is not None:
            await asyncio.wrap_future(self._batch)

    async def _written_back(self) -> None:
        # The kernel tells of a failed write-back once: who does not listen never learns of it.
        if self._write_back is not None:
            await asyncio.wrap_future(self._write_back)

    async def flush(self) -> None:
        if self._gathered:
            await self._hand_over()
        await self._batch_done()
        await self._written_back()

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self.flush()
            self._blobs.hashes[self._upload] = (self.size, self._hash)
        finally:
            self._close()

    def _close(self) -> None:
        """Close the file, or have it closed once no thread uses it any more."""
        using = [job for job in (self._batch, self._write_back) if job is not None and not job.done()]
        if not using:
            os.close(self._file)
            return

        def close_after() -> None:
            wait(using)
            os.close(self._file)

        self._blobs.threads.submit(close_after)
