"""ECR alone behind the real gateway, as a process of its own that a test may kill: ``python -m tests.ecr.server``."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from random import SystemRandom

import uvloop

from dryport.control.clock import SystemClock
from dryport.control.config import Config
from dryport.control.context import Context
from dryport.ecr.room import room
from dryport.gateway.server import Gateway
from dryport.iam.model import CREDENTIALS, Credential
from dryport.store.sqlite import SqliteStore

ACCESS_KEY, SECRET_KEY = "AKIAECRTEST000000000", "secret"
OTHER_ACCESS_KEY, OTHER_ACCOUNT = "AKIAECRTEST000000001", "111111111111"


def credential(access_key: str, account: str) -> Credential:
    return Credential(
        access_key_id=access_key,
        secret_access_key=SECRET_KEY,
        account=account,
        principal_arn=f"arn:aws:iam::{account}:root",
        user_id=account,
    )


async def serve(state_dir: Path, port: int) -> None:
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (state_dir / "log").mkdir(exist_ok=True)
    config = Config(state_dir=state_dir, port=port)
    store = SqliteStore.open(state_dir / "control.db")
    context = Context(store=store, clock=SystemClock(), random=SystemRandom(), config=config)
    await store.transact(lambda tx: tx.put(CREDENTIALS, credential(ACCESS_KEY, config.account)))
    await store.transact(lambda tx: tx.put(CREDENTIALS, credential(OTHER_ACCESS_KEY, OTHER_ACCOUNT)))
    made = room(context)
    async with asyncio.TaskGroup() as group:
        group.create_task(Gateway(context, [made]).serve(["127.0.0.1"], port))
        for loop in made.loops:
            group.create_task(loop.run())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.state_dir, arguments.port))
