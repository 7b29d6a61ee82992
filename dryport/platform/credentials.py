"""The access keys that are made at the first start, kept with mode 0600."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dryport.control.context import Context
from dryport.iam.credentials import create_key, create_root_key, root_keys
from dryport.iam.model import CREDENTIALS, Credential
from dryport.store import Transaction

AGENT_USER = "dryport-fargate-agent"


class KeyFile(msgspec.Struct, frozen=True):
    """What ``credentials.json`` holds."""

    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"KeyFile({self.access_key_id})"


def root_key_path(state_dir: Path) -> Path:
    """The key of the default account's root user, for people."""
    return state_dir / "credentials.json"


def account_key_path(state_dir: Path, account: str) -> Path:
    """The key of the root user of another account, by its name or id."""
    return state_dir / "accounts" / f"{account}.json"


def write_account_key(state_dir: Path, names: Sequence[str], key: KeyFile) -> Path:
    """Keep an account's key under each of its names, with mode 0600; the first one's file."""
    paths = [account_key_path(state_dir, name) for name in names]
    paths[0].parent.mkdir(mode=0o700, exist_ok=True)
    for path in paths:
        _write(path, key)
    return paths[0]


def agent_key_path(state_dir: Path) -> Path:
    """The key of the built-in agent."""
    return state_dir / "agent-credentials.json"


def read(path: Path) -> KeyFile:
    """A key file. Raises FileNotFoundError, PermissionError."""
    return msgspec.json.decode(path.read_bytes(), type=KeyFile)


def _write(path: Path, credential: Credential | KeyFile) -> None:
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(KeyFile(credential.access_key_id, credential.secret_access_key)))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


async def ensure(context: Context) -> None:
    """Make the two keys where they are missing or switched off, and their files where those are."""
    account, random, now = context.config.account, context.random, context.clock.time()

    def work(tx: Transaction) -> tuple[Credential, Credential]:
        long_term = [c for c in tx.find(CREDENTIALS, "account", account) if c.session_token is None]
        root = [c for c in root_keys(tx, account) if not c.inactive]
        agent = [c for c in long_term if c.user_id == AGENT_USER]
        agent_arn = f"arn:aws:iam::{account}:user/{AGENT_USER}"
        return (
            root[0] if root else create_root_key(tx, random, account, now),
            agent[0] if agent else create_key(tx, random, account, agent_arn, AGENT_USER, now),
        )

    root, agent = await context.store.transact(work)
    _write(root_key_path(context.config.state_dir), root)
    _write(agent_key_path(context.config.state_dir), agent)
