"""When an access key or a role was last used.

The request path writes no row a request: what a key or a role does within a minute of what was noted last is not noted.
"""

from __future__ import annotations

import asyncio
import logging

from dryport.iam.model import LAST_USES, Credential, LastUse
from dryport.store import Reader, Store, StoreUnavailable, Transaction

INTERVAL_SECONDS = 60.0
log = logging.getLogger("dryport.iam")


class Notes:
    """Notes who calls, behind the request's back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[str, float] = {}  # access key ids, when what is theirs was noted
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, credential: Credential, service: str, region: str, now: float) -> None:
        """A request of a credential that was found good; ``now`` in seconds since the epoch."""
        if now - self._noted.get(credential.access_key_id, 0.0) < INTERVAL_SECONDS:
            return
        if len(self._noted) > 10_000:  # keys of sessions come and go
            self._noted = {key: at for key, at in self._noted.items() if now - at < INTERVAL_SECONDS}
        self._noted[credential.access_key_id] = now
        subject = _subject(credential)
        if subject is not None:
            task = asyncio.get_running_loop().create_task(self._write(LastUse(subject, now, service, region)))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _write(self, use: LastUse) -> None:
        def work(tx: Transaction) -> None:
            before = tx.get(LAST_USES, use.subject)
            if before is None or use.time - before.time >= INTERVAL_SECONDS:  # a role has many sessions
                tx.put(LAST_USES, use)

        try:
            await self._store.transact(work)
        except StoreUnavailable as error:
            log.warning("the last use of %s was not noted: %s", use.subject, error)


def of(reader: Reader, subject: str) -> LastUse | None:
    """The last use of an access key id, or of a role's unique id; exact to a minute."""
    return reader.get(LAST_USES, subject)


def forget(tx: Transaction, subject: str) -> None:
    """Of what is no more."""
    tx.delete(LAST_USES, subject)


def _subject(credential: Credential) -> str | None:
    """What of a credential's is noted: its key, or the role of a session."""
    if credential.role_arn is not None:
        return credential.identity
    return credential.access_key_id if credential.session_token is None else None
