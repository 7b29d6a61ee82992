"""What the gateway asks before each operation."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.control.context import Context
from dryport.iam import sessions
from dryport.iam.authorization import Scope, required
from dryport.iam.enforcement import refusals, resolution
from dryport.iam.enforcement.about import About
from dryport.iam.enforcement.decision import Refused, authorize, unbound
from dryport.iam.enforcement.details import details
from dryport.iam.model import Credential
from dryport.store import Reader
from dryport.store.sealing import Broken, Sealer

PLACE = "iam/authorization-message/"  # with an account: what EC2's encoded messages are sealed for


class Guard:
    """Stands before the handlers."""

    def __init__(self, context: Context) -> None:
        self._sealer = Sealer(context.config.state_dir / "sealing.key", context.random)

    def check(
        self,
        reader: Reader,
        credential: Credential | None,
        operation: tuple[str, str],
        given: Mapping[str, Any],
        about: About,
        family: tuple[str, bool],
    ) -> None:
        """Let a call of an operation (service and name) pass, or raise the ServiceError of its service's family.

        Without a credential nobody has signed. ``family`` is how the service speaks of errors, and whether it is a
        REST service.
        """
        service, name = operation
        if credential is None:
            nowhere = required(service, name, given, Scope(about.region, ""))
            if unbound(reader, None, nowhere, about) is not None:
                raise ServiceError("AccessDenied", "Access Denied", 403)
            return
        if (never := sessions.restricted(credential, service, name)) is not None:
            raise never
        asking = resolution.Asking(reader, credential, service, name, given, Scope(about.region, credential.account))
        refused = authorize(reader, credential, resolution.requirements(asking), about)
        if refused is not None:
            raise refusals.error(refused, family[0], rest=family[1], encode=partial(self._encode, credential))

    def _encode(self, credential: Credential, refused: Refused) -> str:
        """What DecodeAuthorizationMessage opens again, for callers of the account."""
        text = msgspec.json.encode(details(refused, credential))
        return base64.urlsafe_b64encode(self._sealer.seal(text, PLACE + credential.account)).decode()


def decode(sealer: Sealer, account: str, message: str) -> str:
    """What an encoded message says. Raises Broken for one that is not whole, or of another account."""
    try:
        sealed = base64.urlsafe_b64decode(message.encode("ascii"))
    except ValueError:
        raise Broken("not an encoded message") from None
    return sealer.open(sealed, PLACE + account).decode()
