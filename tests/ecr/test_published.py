"""What other services call: tokens for the agent's pulls, and the image that a reference stands for."""

from __future__ import annotations

from pathlib import Path
from random import Random

from dryport.ecr import published, tokens
from dryport.ecr.contents import digest_of
from dryport.gateway.service import Principal
from tests.ecr.test_histories import LAYER_POOL, World, manifest_of

HOST = "000000000000.dkr.ecr.us-east-1.localhost:4566"


async def test_resolve_image(tmp_path: Path) -> None:
    world = World(tmp_path, 1)
    world.open()
    await world.create(0)
    await world.push(0, [0], "latest")
    await world.push(0, [1], "v2")
    reader = world.store.reader
    first, second = (digest_of(manifest_of([LAYER_POOL[number]])) for number in (0, 1))
    for reference, digest in (
        ("one", first),
        ("one:latest", first),
        ("one:v2", second),
        (f"one@{first}", first),
        (f"one:v2@{first}", first),
    ):
        found = published.resolve_image(reader, f"{HOST}/{reference}")
        assert found is not None
        assert (found.name, found.digest, found.account, found.region) == ("one", digest, "000000000000", "us-east-1")
        assert found.repository_arn == "arn:aws:ecr:us-east-1:000000000000:repository/one"
    for reference in ("one:v3", "two", f"one@{digest_of(b'x')}", "one@sha256:x", "one:"):
        assert published.resolve_image(reader, f"{HOST}/{reference}") is None
    assert published.resolve_image(reader, "docker.io/library/one:latest") is None
    assert published.resolve_image(reader, f"{HOST.replace('us-east-1', 'eu-west-1')}/one") is None
    assert published.is_registry(f"{HOST}/one")
    assert not published.is_registry("busybox") and not published.is_registry("localhost:5000/one")
    await world.store.close()


async def test_authorization_token(tmp_path: Path) -> None:
    world = World(tmp_path, 1)
    world.open()
    principal = Principal("123456789012", "arn:aws:iam::123456789012:role/x", "AROA", "ASIA")
    password = await world.store.transact(
        lambda tx: published.authorization_token(tx, Random(1), principal, "eu-west-1", 1000.0)
    )
    await world.store.close()
    world.open()  # another process knows it, too
    secret = published.known_secret(world.store.reader)
    assert secret is not None
    claims = tokens.read(secret, password, 1000.0 + 12 * 3600 - 1)
    assert (claims.account, claims.region, claims.principal_arn) == (principal.account, "eu-west-1", principal.arn)
    await world.store.close()
