"""Whatever happens in whatever order, with the collector in between and the process dying anywhere: no image in the
store lacks a byte, and what nothing needs is gone in the end."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.control.clock import SystemClock
from dryport.control.config import Config
from dryport.control.context import Context
from dryport.ecr import images, manifest
from dryport.ecr.collector import LAYER_GRACE, UPLOAD_GRACE, Collector
from dryport.ecr.contents import Contents, digest_of
from dryport.ecr.model import BLOBS, IMAGES, LAYERS, REPOSITORIES, TAGS, UPLOADS, Repository, member
from dryport.ecr.names import repository_arn
from dryport.ecr.storage import FileBlobs
from dryport.store.sqlite import SqliteStore

REPOSITORY_NAMES = ["one", "two"]
LAYER_POOL = [f"layer {number}".encode() * 50 for number in range(4)]
EXPECTED = {"RepositoryNotFoundException", "UploadNotFoundException", "ImageReferencedByManifestList"}


class Died(Exception):
    """The process is gone: nothing more of it runs."""


class MortalBlobs(FileBlobs):
    """Dies around its n-th act on the disk: before it, or right after."""

    def __init__(self, directory: Path, acts: int | None = None, after: bool = False) -> None:
        super().__init__(directory)
        self.acts = acts
        self.after = after

    async def run(self, work: Any) -> Any:
        if self.acts is None:
            return await super().run(work)
        self.acts -= 1
        if self.acts < 0 or (self.acts == 0 and not self.after):
            raise Died
        done = await super().run(work)
        if self.acts == 0:
            raise Died
        return done


class TurnedClock(SystemClock):
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now


class World:
    """A registry without its doors."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.clock = TurnedClock()
        self.random = Random(seed)
        self.deleted: set[tuple[str, str]] = set()  # images, by repository and digest, since their last push began

    def open(self, acts: int | None = None, after: bool = False) -> None:
        self.store = SqliteStore.open(self.directory / "control.db")
        config = Config(state_dir=self.directory)
        context = Context(store=self.store, clock=self.clock, random=self.random, config=config)
        self.blobs = MortalBlobs(self.directory / "registry", acts, after)
        self.contents = Contents(context, self.blobs)
        self.collector = Collector(self.contents)

    def repository(self, index: int) -> Repository:
        return images.repository(self.store.reader, "000000000000", "us-east-1", REPOSITORY_NAMES[index])

    async def create(self, index: int) -> None:
        name = REPOSITORY_NAMES[index]
        arn = repository_arn("000000000000", "us-east-1", name)
        if self.store.reader.get(REPOSITORIES, arn) is None:
            made = Repository(arn=arn, name=name, account="000000000000", region="us-east-1", created_at=self.clock.now)
            await self.store.transact(lambda tx: tx.put(REPOSITORIES, made))

    async def push(self, index: int, layers: list[int], tag: str) -> None:
        repository = self.repository(index)
        blobs = [LAYER_POOL[number] for number in layers]
        for blob in blobs:
            digest = digest_of(blob)
            if await self.contents.find_layer(repository, digest) is None:
                upload = await self.contents.begin_upload(repository)
                async with self.contents.upload_locks.hold(upload.id):
                    await self.contents.upload(repository, upload.id)
                    async with self.blobs.append(upload.id) as writer:
                        await writer.write(blob)
                    await self.contents.finish_upload(repository, upload.id, digest)
        content = manifest_of(blobs)
        pushed = (repository.arn, digest_of(content))
        self.deleted.discard(pushed)
        parsed = manifest.parse(content)
        await self.contents.put_manifest(repository, content, parsed, digest_of(content), tag)
        found = images.find_image(self.store.reader, repository.arn, digest=digest_of(content))
        # Unless somebody has deleted it since.
        gone = pushed in self.deleted or self.store.reader.get(REPOSITORIES, repository.arn) is None
        assert found is not None or gone

    async def abandon(self, index: int) -> None:
        upload = await self.contents.begin_upload(self.repository(index))
        async with self.contents.upload_locks.hold(upload.id), self.blobs.append(upload.id) as writer:
            await writer.write(b"half of a la")

    async def delete(self, index: int, layers: list[int]) -> None:
        digest = digest_of(manifest_of([LAYER_POOL[number] for number in layers]))
        found = images.find_image(self.store.reader, self.repository(index).arn, digest=digest)
        if found is not None:
            self.deleted.add((found.repository_arn, digest))
            await self.store.transact(lambda tx: images.delete_image(tx, found, self.clock.now))

    async def drop(self, index: int) -> None:
        repository = self.repository(index)
        await self.store.transact(lambda tx: images.delete_repository(tx, repository))

    async def sweep(self) -> None:
        await self.collector.sweep(leftovers=True)

    def check(self) -> None:
        reader = self.store.reader
        for blob in reader.all(BLOBS):
            content = self.blobs.path(blob.digest).read_bytes()
            assert (digest_of(content), len(content)) == (blob.digest, blob.size)
        for layer in reader.all(LAYERS):
            assert reader.get(BLOBS, layer.digest) is not None
        for image in reader.all(IMAGES):
            assert reader.get(BLOBS, image.digest) is not None
            for part in image.blobs:
                assert reader.get(LAYERS, member(image.repository_arn, part.digest)) is not None
        for tag in reader.all(TAGS):
            assert reader.get(IMAGES, member(tag.repository_arn, tag.digest)) is not None

    async def check_end(self) -> None:
        """Once all grace is over only what images need is left, on the disk and in the store."""
        self.clock.now += UPLOAD_GRACE + LAYER_GRACE
        await self.sweep()
        self.check()
        reader = self.store.reader
        assert not list(reader.all(UPLOADS))
        assert await self.blobs.uploads() == []
        needed = {image.digest for image in reader.all(IMAGES)}
        needed |= {blob.digest for image in reader.all(IMAGES) for blob in image.blobs}
        assert set(await self.blobs.digests()) == needed == {blob.digest for blob in reader.all(BLOBS)}


def manifest_of(blobs: list[bytes]) -> bytes:
    listed = [{"mediaType": "x", "digest": digest_of(blob), "size": len(blob)} for blob in blobs]
    kind = manifest.OCI_MANIFEST
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "config": listed[0], "layers": listed[1:]}).encode()


indexes = st.integers(0, len(REPOSITORY_NAMES) - 1)
layer_lists = st.lists(st.integers(0, len(LAYER_POOL) - 1), min_size=1, max_size=3)
steps = st.one_of(
    st.tuples(st.just("push"), indexes, layer_lists, st.sampled_from(["a", "b"])),
    st.tuples(st.just("push"), indexes, layer_lists, st.sampled_from(["a", "b"])),
    st.tuples(st.just("delete"), indexes, layer_lists),
    st.tuples(st.just("drop"), indexes),
    st.tuples(st.just("create"), indexes),
    st.tuples(st.just("abandon"), indexes),
    st.tuples(st.just("sweep")),
)
# Each group runs at once, and then so much time passes.
groups = st.tuples(st.lists(steps, min_size=1, max_size=4), st.sampled_from([0.0, 30.0, LAYER_GRACE, UPLOAD_GRACE]))


async def run_group(world: World, group: list[tuple[Any, ...]]) -> bool:
    """Run steps at once; whether the process died."""
    work: list[Coroutine[Any, Any, None]] = [getattr(world, step[0])(*step[1:]) for step in group]
    died = False
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, Died):
            died = True
        elif isinstance(outcome, ServiceError):
            # Layers may be missing only to a push whose repository was replaced under it.
            replaced = any(step[0] == "drop" for step in group) and outcome.code == "LayersNotFoundException"
            assert outcome.code in EXPECTED or replaced, outcome
        elif isinstance(outcome, BaseException) and not died:
            raise outcome
    return died


async def live(directory: Path, history: list[Any], deaths: list[tuple[int, bool]], seed: int) -> None:
    world = World(directory, seed)
    pending = list(deaths)
    world.open(*(pending.pop(0) if pending else (None,)))
    for index in range(len(REPOSITORY_NAMES)):
        await world.create(index)
    for group, passes in history:
        if await run_group(world, group):
            world.blobs.acts = 0
            await world.store.close()
            world.open(*(pending.pop(0) if pending else (None,)))
        world.check()
        world.clock.now += passes
    world.blobs.acts = None
    await world.check_end()
    await world.store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    history=st.lists(groups, min_size=1, max_size=8),
    deaths=st.lists(st.tuples(st.integers(1, 25), st.booleans()), max_size=3),
    seed=st.integers(0, 2**32),
)
@example(
    history=[
        ([("push", 0, [0], "a"), ("push", 0, [0], "a"), ("push", 0, [0, 0], "a")], 0.0),
        ([("push", 0, [0], "a"), ("delete", 0, [0])], 0.0),
    ],
    deaths=[],
    seed=0,
)
def test_no_history_loses_a_byte_or_keeps_one_too_many(
    history: list[Any], deaths: list[tuple[int, bool]], seed: int
) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-ecr-", dir="/tmp") as directory:
        asyncio.run(live(Path(directory), history, deaths, seed))


async def test_grace_of_layers(tmp_path: Path) -> None:
    """A layer that was pushed, or asked for, is there for the manifest that follows."""
    world = World(tmp_path, 1)
    world.open()
    await world.create(0)
    await world.push(0, [0, 1], "a")
    repository = world.repository(0)
    await world.delete(0, [0, 1])
    world.clock.now += LAYER_GRACE - 1
    assert await world.contents.find_layer(repository, digest_of(LAYER_POOL[0])) is not None
    world.clock.now += LAYER_GRACE - 1
    await world.sweep()
    assert await world.contents.find_layer(repository, digest_of(LAYER_POOL[0])) is not None
    assert await world.contents.find_layer(repository, digest_of(LAYER_POOL[1])) is None
    left = {hashlib.sha256(LAYER_POOL[0]).hexdigest()}
    assert {digest.partition(":")[2] for digest in await world.blobs.digests()} == left
    await world.store.close()


async def test_an_image_is_deleted_under_a_push_of_its_layers(tmp_path: Path) -> None:
    """A client that was told of a layer may count on it, even if the image that had it goes away."""
    world = World(tmp_path, 1)
    world.open()
    await world.create(0)
    await world.push(0, [0, 1], "a")
    world.clock.now += 2 * LAYER_GRACE
    assert await world.contents.find_layer(world.repository(0), digest_of(LAYER_POOL[0])) is not None
    await world.delete(0, [0, 1])
    await world.sweep()
    content = manifest_of([LAYER_POOL[0]])
    parsed = manifest.parse(content)
    await world.contents.put_manifest(world.repository(0), content, parsed, digest_of(content), "b")
    await world.check_end()
    await world.store.close()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("acts", range(1, 9))
async def test_death_at_every_act_of_a_push(tmp_path: Path, acts: int, after: bool) -> None:
    world = World(tmp_path, 1)
    world.open(acts, after)
    await world.create(0)
    died = await run_group(world, [("push", 0, [0, 1], "a")])
    await world.store.close()
    world.open()
    world.check()
    assert died == (world.store.reader.count(TAGS) == 0)
    await world.push(0, [0, 1], "a")
    await world.check_end()
    assert world.store.reader.count(TAGS) == 1
    await world.store.close()
