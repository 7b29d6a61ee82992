"""Credentials of a machine that joined by an activation: renewed for as long as it is managed.

They stand in a file of mode 0600, where everything else of the agent reads them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import msgspec

from dryport.agent.acs.registration import VERSION, RegistrationRefused
from dryport.client import managed

log = logging.getLogger("dryport.agent")
_PERIOD = 120.0  # seconds; the control plane takes a machine for lost that it does not hear of for five minutes
_FIRST_RETRY, _LAST_RETRY = 0.5, 30.0


class Keeper:
    """Keeps the credentials in ``credentials_file`` good. Raises OSError, RegistrationRefused for a broken identity."""

    def __init__(self, identity_file: Path, credentials_file: Path) -> None:
        try:
            identity = managed.load(identity_file)
        except msgspec.MsgspecError as error:
            raise RegistrationRefused(f"{identity_file} is no identity: {error}") from error
        if identity is None:
            raise RegistrationRefused(f"{identity_file} is not there: join with an activation")
        self._identity = identity
        self._file = credentials_file

    async def renew(self) -> None:
        """Have good credentials, trying until the control plane answers. Raises RegistrationRefused."""
        delay = _FIRST_RETRY
        while True:
            try:
                session = await asyncio.to_thread(managed.renew, self._identity, VERSION)
            except managed.Refused as refusal:
                raise RegistrationRefused(f"{self._identity.instance_id}: {refusal}") from refusal
            except managed.Unanswered as error:
                log.info("no credentials yet: %s", error)
                await asyncio.sleep(delay)
                delay = min(_LAST_RETRY, delay * 2)
            else:
                self._write(session)
                return

    async def run(self) -> None:
        """Renew until cancelled. Raises RegistrationRefused once the machine is managed no more."""
        while True:
            await asyncio.sleep(_PERIOD)
            await self.renew()

    def _write(self, session: managed.Session) -> None:
        unfinished = self._file.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with open(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(session))
        unfinished.replace(self._file)
