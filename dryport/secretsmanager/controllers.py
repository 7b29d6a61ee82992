"""The loop that deletes secrets for good once their recovery window is over."""

from __future__ import annotations

from collections.abc import Iterable

from dryport.control.controller import Controller
from dryport.secretsmanager.model import SECRETS
from dryport.secretsmanager.values import forget
from dryport.store import Transaction


class Deletion(Controller):
    """Attends to the secrets that are marked for deletion; a key is a secret's ARN."""

    tables = (SECRETS,)

    def existing(self) -> Iterable[str]:
        return self.store.reader.keys(SECRETS, "marked", "marked")

    async def reconcile(self, key: str) -> float | None:
        secret = self.store.reader.get(SECRETS, key)
        if secret is None or secret.deletion_at is None:
            return None
        left = secret.deletion_at - self.clock.time()
        if left > 0:
            return left
        await self.store.transact(lambda tx: self._delete(tx, key))
        return None

    def _delete(self, tx: Transaction, key: str) -> None:
        secret = tx.get(SECRETS, key)  # it may have been restored meanwhile
        if secret is not None and secret.deletion_at is not None and secret.deletion_at <= self.clock.time():
            forget(tx, secret)
