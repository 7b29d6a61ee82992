"""The loop that issues and renews certificates, and sees them expire: keyed by the certificate's ARN.

Domains are taken for their requester's: whoever runs this Dryport. AWS waits until their DNS says so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dryport.acm import model
from dryport.acm.model import AUTHORITY, Authority, Certificate
from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.store import Change, Transaction
from dryport.store.sealing import Sealer

_RENEWED_BEFORE = 60 * 86_400.0  # seconds before its end at which a certificate is renewed, as AWS's are
_LONGEST = 86_400.0  # seconds between looks at one


class Issuance(Controller):
    """What was requested is issued by this Dryport's own authority, whose certificate is in ``<state>/ca.pem``."""

    tables = (model.CERTIFICATES,)
    concurrency = 2  # keys are work for the processor

    def __init__(self, context: Context, sealer: Sealer) -> None:
        super().__init__(context.store, context.clock)
        self._sealer = sealer
        self._file = context.config.state_dir / "ca.pem"
        self._name = f"Dryport {context.config.id}"
        self._founding = asyncio.Lock()

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(model.CERTIFICATES)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        return (change.key,) if change.new is not None else ()

    async def reconcile(self, key: str) -> float | None:
        found = self.store.reader.get(model.CERTIFICATES, key)
        if found is None or found.status == model.EXPIRED:
            return None
        now = self.clock.time()
        if found.facts is None:
            await self._issue(found)
            return None
        left = found.facts.not_after - now
        if left <= 0:
            await self.store.transact(lambda tx: _expire(tx, key, now))
            return None
        if found.type == model.AMAZON_ISSUED:
            if left <= _RENEWED_BEFORE:
                await self._issue(found)
                return None
            left -= _RENEWED_BEFORE
        return min(left, _LONGEST)

    async def _issue(self, wanted: Certificate) -> None:
        from dryport.acm import x509

        authority, signing = await self._authority()
        now = self.clock.time()

        def make() -> Certificate:
            key = x509.new_key(wanted.key_type)
            made = x509.issue(authority, signing, wanted.domain, wanted.names, key, now)
            sealed = self._sealer.seal(x509.pem_of_key(key), wanted.arn)
            return replace(
                wanted,
                status=model.ISSUED,
                body=x509.pem(made),
                chain=x509.pem(authority),
                key=sealed,
                facts=x509.facts(made),
                issued_at=now,
            )

        issued = await asyncio.to_thread(make)
        await self.store.transact(lambda tx: _issued(tx, wanted, issued))

    async def _authority(self) -> tuple[Any, Any]:
        """The authority's certificate and key; made when the first certificate is requested."""
        from dryport.acm import x509

        async with self._founding:
            found = self.store.reader.get(model.AUTHORITIES, AUTHORITY)
            if found is None:
                key = await asyncio.to_thread(x509.new_key, "EC_prime256v1")
                body = x509.pem(x509.new_authority(key, self._name, self.clock.time()))
                sealed = self._sealer.seal(x509.pem_of_key(key), AUTHORITY)
                found = Authority(id=AUTHORITY, body=body, key=sealed)
                made = found
                await self.store.transact(lambda tx: tx.put(model.AUTHORITIES, made))
            _show(self._file, found.body)
        return x509.read(found.body.encode()), x509.read_key(self._sealer.open(found.key, AUTHORITY))


def _show(path: Path, body: str) -> None:
    """Have the authority's certificate where people find it."""
    if not path.exists() or path.read_text() != body:
        new = path.with_suffix(".new")
        new.write_text(body)
        os.replace(new, path)


def _issued(tx: Transaction, wanted: Certificate, issued: Certificate) -> None:
    found = tx.get(model.CERTIFICATES, wanted.arn)
    if found is not None and found.facts == wanted.facts:  # its tags may have changed meanwhile
        tx.put(model.CERTIFICATES, replace(issued, tags=found.tags, transparency=found.transparency))


def _expire(tx: Transaction, key: str, now: float) -> None:
    found = tx.get(model.CERTIFICATES, key)
    if found is not None and found.facts is not None and found.facts.not_after <= now:
        tx.put(model.CERTIFICATES, replace(found, status=model.EXPIRED))
