"""Objects' bytes: a file each, enciphered, written aside, flushed, moved to its place. Nothing is changed in place."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from dryport.aws.identifiers import hexadecimal
from dryport.gateway.file_parts import FilePart
from dryport.s3 import checksums
from dryport.s3.checksums import Hash
from dryport.s3.enciphering import SUFFIX, Enciphering
from dryport.store.sealing import Sealer

_BLOCK = 1 << 20  # bytes that are hashed and written at once
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written: its name, size, MD5, and the checksum that was asked for."""

    file: str
    size: int
    md5: bytes
    checksum: bytes


class Disk:
    """The directory of files, with the key beside it (``sealing.key``).

    ``random`` makes their names. With ``tidy`` it is the first one of this process, and removes what others left.
    """

    def __init__(self, root: Path, random: Random, *, tidy: bool = True) -> None:
        self._root = root
        self._enciphering = Enciphering(Sealer(root.parent / "sealing.key", random))
        self._random = random
        self._aside = root / "tmp"
        self._aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._aside.iterdir() if tidy else ():  # of a process that was killed
            left.unlink()

    def path(self, file: str) -> Path:
        """Where a file is."""
        return self._root / file[:2] / file

    def part(self, file: str, start: int, end: int) -> FilePart:
        """The bytes ``start`` to ``end`` (exclusive) of a file, to be sent."""
        return FilePart(self.path(file), start, end, self._enciphering.opener(file))

    async def write(self, chunks: AsyncIterator[bytes], algorithm: str) -> Written:
        """Write a stream to a new file; durable when this returns. An error of the stream leaves nothing behind."""
        file = hexadecimal(self._random, _DIGITS) + SUFFIX
        aside = self._aside / file
        writer = _Writer(aside, algorithm, self._enciphering.writer(file))
        try:
            waiting = bytearray()
            async for chunk in chunks:
                waiting += chunk
                if len(waiting) >= _BLOCK:
                    await asyncio.to_thread(writer.add, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(self._finish, writer, bytes(waiting), aside, self.path(file))
        finally:
            writer.close()
            aside.unlink(missing_ok=True)
        return Written(file, writer.size, writer.md5.digest(), writer.checksum.digest())

    async def read(self, file: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes ``start`` to ``end`` (exclusive) of a file."""
        opener = self._enciphering.opener(file)
        decipher = opener(start) if opener is not None else bytes
        with self.path(file).open("rb") as source:
            source.seek(start)
            left = os.fstat(source.fileno()).st_size - start if end is None else end - start
            while left > 0 and (block := await asyncio.to_thread(source.read, min(_BLOCK, left))):
                left -= len(block)
                yield decipher(block)

    async def joined(self, files: Iterable[str]) -> AsyncIterator[bytes]:
        """The bytes of several files, one after the other."""
        for file in files:
            async for block in self.read(file):
                yield block

    def files(self) -> Iterator[str]:
        """The names of all files."""
        for directory in self._root.iterdir():
            if directory != self._aside:
                yield from (entry.name for entry in directory.iterdir())

    def delete(self, file: str) -> None:
        """Delete a file, if it is there."""
        self.path(file).unlink(missing_ok=True)

    def _finish(self, writer: _Writer, rest: bytes, aside: Path, place: Path) -> None:
        writer.add(rest)
        writer.flush()
        place.parent.mkdir(mode=0o700, exist_ok=True)
        aside.rename(place)
        for directory in (place.parent, self._root):
            handle = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class _Writer:
    def __init__(self, path: Path, algorithm: str, encipher: Callable[[bytes], bytes]) -> None:
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb", buffering=0)
        self._encipher = encipher
        self.size = 0
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.checksum: Hash = checksums.new(algorithm)

    def add(self, data: bytes) -> None:
        view = memoryview(self._encipher(data))
        while view:
            view = view[self._file.write(view) :]
        self.md5.update(data)
        self.checksum.update(data)
        self.size += len(data)

    def flush(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
