"""What the agent learns from the instance metadata service, asked as it is in every VPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dryport.agent import ec2
from dryport.agent.identity import Identity, NoCredentials
from dryport.host.messages import Metadata
from dryport.host.metadata.server import MetadataServer
from dryport.host.metadata.tokens import Tokens

KEY = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": "2199-01-01T00:00:00Z"}
ROLE = "meta-data/iam/security-credentials/ecsInstanceRole"
TREE = {
    ROLE: json.dumps(KEY),
    "dynamic/instance-identity/document": '{"instanceId": "i-1"}',
    "dynamic/instance-identity/signature": "c2ln",
}


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MetadataServer]:
    server = MetadataServer(Tokens(b"k" * 32))
    listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield server
    listening.close()


def know(server: MetadataServer, tree: dict[str, str], **members: Any) -> None:
    server.know({"i-1": Metadata(address="127.0.0.1", tree=tree, tokens_required=True, **members)})


async def test_an_instance_has_its_roles_key_and_its_identity(service: MetadataServer) -> None:
    know(service, TREE)
    identity = Identity(None)
    assert identity.instance is not None
    assert await asyncio.to_thread(identity.credentials) == ("ASIA1", "s", "t")
    assert await asyncio.to_thread(identity.instance.identity) == ('{"instanceId": "i-1"}', "c2ln")
    know(service, {})  # a key that is good is not asked for again
    assert await asyncio.to_thread(identity.credentials) == ("ASIA1", "s", "t")


async def test_a_key_that_is_about_to_expire_is_read_again(service: MetadataServer) -> None:
    know(service, {**TREE, ROLE: json.dumps({**KEY, "Expiration": "2000-01-01T00:00:00Z"})})
    instance = ec2.Instance()
    await asyncio.to_thread(instance.credentials)
    instance._read_again = 0.0
    know(service, {**TREE, ROLE: json.dumps({**KEY, "AccessKeyId": "ASIA2"})})
    assert (await asyncio.to_thread(instance.credentials)).access_key_id == "ASIA2"


@pytest.mark.parametrize("tree", [{}, {ROLE: "{}"}])
async def test_an_instance_without_a_role_has_no_key(service: MetadataServer, tree: dict[str, str]) -> None:
    know(service, tree)
    with pytest.raises(NoCredentials):
        await asyncio.to_thread(Identity(None).credentials)


async def test_a_key_in_the_environment_goes_before(service: MetadataServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    identity = Identity(None)
    assert identity.instance is None and identity.credentials().access_key_id == "AKIA1"
