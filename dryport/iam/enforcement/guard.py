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
from dryport.iam.authorization import Requirement, Scope, required
from dryport.iam.enforcement import identified, refusals, resolution
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

    @staticmethod
    def lets_pass(reader: Reader, credential: Credential, request: tuple[str, str, str, bytes]) -> bool:
        """Whether a request (service, operation, region, body) is allowed by what is known of its caller alone.

        It was allowed before and nothing can have changed that, or the caller may do this to whatever the account has.
        """
        if credential.identity is None or credential.limits is not None:
            return False
        known = identified.of(reader, credential.identity)
        if request in known.passed:
            return True
        operation, body = request[:2], request[3]
        if operation not in known.free:
            known.free[operation] = resolution.deciding(*operation, known.wholly)
        deciding = known.free[operation]
        return deciding is not None and not any(text in body for text in deciding)

    def check(
        self,
        reader: Reader,
        credential: Credential | None,
        operation: tuple[str, str],
        given: Mapping[str, Any],
        about: About,
        family: tuple[str, bool],
        body: bytes | None = None,
    ) -> None:
        """Let a call of an operation (service and name) pass, or raise the ServiceError of its service's family.

        Without a credential nobody has signed. ``family`` is how the service speaks of errors, and whether it is a
        REST service. ``body`` is what the input was read from, where it was read from nothing else.
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
        requirements = resolution.requirements(asking)
        refused = authorize(reader, credential, requirements, about)
        if refused is None:
            if credential.limits is None and resolution.lasting(service, name, requirements):
                known = identified.of(reader, credential.identity or "")
                if all((row.action, one) in known.settled for row in requirements for one in row.resources):
                    known.passing((service, name, about.region, resolution.gist_of(service, name, given)))
                    if body is not None:
                        known.passing((service, name, about.region, body))
        else:
            raise refusals.error(refused, family[0], rest=family[1], encode=partial(self._encode, credential))

    @staticmethod
    def knows(
        reader: Reader, credential: Credential, operation: tuple[str, str], region: str, given: Mapping[str, Any]
    ) -> bool:
        """Whether a request is allowed as another one was that has everything in common with it that decides."""
        if credential.identity is None or credential.limits is not None:
            return False
        passed = identified.of(reader, credential.identity).passed
        decides = resolution.gist_of(*operation, given) if passed else None
        return decides is not None and (*operation, region, decides) in passed

    def check_forwarded(
        self,
        reader: Reader,
        credential: Credential,
        operation: tuple[str, str],
        needed: tuple[Requirement, ...] | None,
        about: About,
        family: tuple[str, bool],
    ) -> None:
        """As ``check``, of a forwarded call; ``needed`` is ``None`` where it is no action that a policy could name."""
        service, name = operation
        if (never := sessions.restricted(credential, service, name)) is not None:
            raise never
        if needed is None:
            message = (
                f"User: {credential.principal_arn} is not authorized to perform: {service}:{name} "
                "because no action of IAM's is known for it: only the root user may"
            )
            refused: Refused | None = Refused(message, f"{service}:{name}", "*")
        else:
            refused = authorize(reader, credential, needed, about)
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
