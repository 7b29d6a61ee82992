"""``dryport leave``: a machine that joined is a container instance no more, and nothing of the agent is left on it.

``python -m dryport.agent.leaving --state-dir DIR``. The agent must have ended.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import shutil
import sys
from pathlib import Path

import aiodocker
import aiohttp
import msgspec

from dryport.agent.acs.registration import VERSION
from dryport.agent.identity import Identity, NoCredentials
from dryport.agent.metadata.urls import ADDRESS, LISTENER_PORT
from dryport.agent.runtime.docker.spec import INSTANCE_LABEL
from dryport.agent.settings import Settings
from dryport.agent.state import State
from dryport.client import ApiError, Client, Credentials, Unreachable, managed
from dryport.host import task_endpoint
from dryport.host.nft import NftError


class Joined(msgspec.Struct, frozen=True):
    """What ``dryport join`` notes in ``joined.json``."""

    endpoint: str
    region: str


async def leave(state_dir: Path) -> int:
    """Deregister, then remove containers and state; how many steps failed. Says what it does on standard output."""
    joined = msgspec.json.decode((state_dir / "joined.json").read_bytes(), type=Joined)
    failures = await _deregister(state_dir, joined)
    docker = aiodocker.Docker()
    label = f"{INSTANCE_LABEL}={Settings(endpoint=joined.endpoint, state_dir=state_dir).slug}"
    try:
        found = await docker.containers.list(all=True, filters={"label": [label]})
        for container in found:
            await container.delete(force=True, v=True)
        print(f"removed {len(found)} containers")
    except (aiodocker.DockerError, aiohttp.ClientError, OSError) as error:
        print(f"the containers could not be removed: {error}", file=sys.stderr)
        return failures + 1  # what the agent remembers of them may still be needed
    finally:
        await docker.close()
    try:
        task_endpoint.close(ADDRESS, LISTENER_PORT)  # an agent that was killed has left it
    except (OSError, NftError) as error:
        print(f"the address {ADDRESS} could not be removed: {error}", file=sys.stderr)
        failures += 1
    shutil.rmtree(state_dir)
    return failures


async def _deregister(state_dir: Path, joined: Joined) -> int:
    state = State(state_dir / "agent.db")
    saved = state.load("registration")
    await state.close()
    cluster, arn = saved.get("cluster", b"").decode(), saved.get("arn", b"").decode()
    try:
        identity = managed.load(state_dir / "identity.json")
        if arn:
            request = {"cluster": cluster, "containerInstance": arn, "force": True}
            async with aiohttp.ClientSession() as session:
                client = Client(session, joined.endpoint, joined.region)
                await client.call("ecs", "DeregisterContainerInstance", request, _credentials(identity))
            print(f"deregistered {arn}")
        if identity is not None:
            managed.leave(identity)
            print(f"{identity.instance_id} is managed no more")
    except ApiError as error:
        if "not found" not in error.message:
            print(f"the machine could not be deregistered: {error}", file=sys.stderr)
            return 1
    except (Unreachable, NoCredentials, managed.Refused, managed.Unanswered) as error:
        print(f"the machine could not be deregistered: {error}", file=sys.stderr)
        return 1
    return 0


def _credentials(identity: managed.Identity | None) -> Credentials:
    if identity is None:
        return Identity(None).credentials()
    return managed.renew(identity, VERSION).credentials


def main() -> int:
    """Leave; the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    state_dir: Path = parser.parse_args().state_dir
    if not (state_dir / "joined.json").exists():
        print(f"{state_dir} is of no machine that joined", file=sys.stderr)
        return 1
    descriptor = os.open(state_dir / "agent.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("the agent still runs: end it first", file=sys.stderr)
        return 1
    return 1 if asyncio.run(leave(state_dir)) else 0


if __name__ == "__main__":
    sys.exit(main())
