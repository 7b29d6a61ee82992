"""Who opens an agent's websocket: the signature of the handshake, and the instance that it is for."""

from __future__ import annotations

from random import Random
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from dryport.aws import arn, identifiers, sigv4
from dryport.ecs.model import CONTAINER_INSTANCES, ContainerInstance
from dryport.gateway.http import Upgrade
from dryport.gateway.service import occurrence
from dryport.iam import credentials as iam
from dryport.iam.enforcement.about import About
from dryport.iam.model import Credential
from dryport.store import Reader

SKEW_SECONDS = 300.0  # "Signature Version 4": a request's time may be off by five minutes
_SERVICE = "ecs"


class Handshake(NamedTuple):
    """An admitted handshake; ``query`` holds its parameters, ``endpoint`` the URL by which the agent reached us."""

    instance: ContainerInstance
    query: dict[str, str]
    endpoint: str


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body = msgspec.json.encode({code: message})


def admit(
    reader: Reader, random: Random, upgrade: Upgrade, parameter: str, action: str, now: float
) -> Handshake | None:
    """The handshake of an agent; ``None`` where it has been rejected.

    ``action`` is the permission that it needs, ``parameter`` the member of the query that holds the instance's ARN. An
    agent whose instance is not registered gets 400 and InactiveInstanceException, by which AWS's agent knows it.
    """
    query = {name: values[-1] for name, values in parse_qs(upgrade.query, keep_blank_values=True).items()}
    credential, problem = None, None
    try:
        credential = _verified(reader, upgrade, now)
        instance = reader.get(CONTAINER_INSTANCES, query.get(parameter, ""))
        if instance is None or instance.status == "INACTIVE":
            raise _Refusal(400, "InactiveInstanceException", "The container instance is not registered.")
        if instance.account != credential.account:
            raise _Refusal(403, "AccessDeniedException", "The container instance belongs to another account.")
        _authorize(reader, upgrade, credential, instance, action, now)
    except _Refusal as refusal:
        problem = refusal
        upgrade.reject(refusal.status, refusal.body)
        return None
    finally:
        if credential is not None:
            _note(random, upgrade, credential, query.get(parameter, ""), action, now, problem)
    return Handshake(instance, query, f"http://{upgrade.headers.get('host', 'localhost')}")


def _note(
    random: Random,
    upgrade: Upgrade,
    credential: Credential,
    instance_arn: str,
    action: str,
    now: float,
    refusal: _Refusal | None,
) -> None:
    """Tell the account of calls that an agent came."""
    parts = arn.parse(instance_arn)
    upgrade.note(
        occurrence(
            credential,
            time=now,
            request_id=identifiers.uuid4(random),
            source=_SERVICE,
            operation=action.partition(":")[2],
            region=parts.region if parts is not None else "",
            source_ip=upgrade.source_ip,
            user_agent=upgrade.headers.get("user-agent", ""),
            error=refusal.code if refusal is not None else "",
            message=str(refusal) if refusal is not None else "",
            given={"containerInstance": instance_arn},
        )
    )


def _authorize(
    reader: Reader, upgrade: Upgrade, credential: Credential, instance: ContainerInstance, action: str, now: float
) -> None:
    if credential.identity is None and credential.role_arn is None:
        return
    from dryport.iam.enforcement.decision import permitted  # with the engine: a megabyte, once there are users

    about = About(instance.region, now, upgrade.source_ip, user_agent=upgrade.headers.get("user-agent"))
    refused = permitted(reader, credential, action, instance.arn, about, {"ecs:cluster": instance.cluster_arn})
    if refused is not None:
        raise _Refusal(403, "AccessDeniedException", refused.message)


def _verified(reader: Reader, upgrade: Upgrade, now: float) -> Credential:
    headers = upgrade.headers
    try:
        date = headers.get("x-amz-date")
        signature = sigv4.from_header(headers.get("authorization", ""), date, headers.get("x-amz-security-token"))
        skew = abs(signature.seconds - now)
    except sigv4.IncompleteSignature as error:
        raise _Refusal(403, "AccessDeniedException", str(error)) from None
    credential = iam.find(reader, signature.access_key_id)
    if (
        credential is None
        or credential.inactive
        or not sigv4.matches(credential.session_token or "", signature.token or "")
    ):
        raise _Refusal(403, "AccessDeniedException", "The security token included in the request is invalid.")
    if skew > SKEW_SECONDS or (credential.expires is not None and credential.expires <= now):
        raise _Refusal(403, "AccessDeniedException", "The signature has expired.")
    calculated = sigv4.calculate(
        signature,
        credential.secret_access_key,
        "GET",
        upgrade.path,
        upgrade.query,
        headers.get,
        sigv4.EMPTY_SHA256,
    )
    if signature.service != _SERVICE or not sigv4.matches(calculated, signature.signature):
        raise _Refusal(403, "AccessDeniedException", "The signature of the handshake does not match.")
    return credential
