"""Where machines come in by an activation: three requests of Dryport's own, which need no AWS signature.

``docs/external-instances.md`` describes them. The first exchanges an activation's id and code for an identity; the
others are signed with the machine's own key, and give it credentials of its role, or let it go.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.identifiers import resource_id
from dryport.control.context import Context
from dryport.gateway.http import Exchange
from dryport.iam import credentials as iam
from dryport.iam.model import CREDENTIALS, Credential
from dryport.ssm import machines
from dryport.ssm.attempts import Attempts
from dryport.ssm.machines import ACTIVATIONS, MANAGED_INSTANCES, Facts, ManagedInstance
from dryport.ssm.proof import SKEW_SECONDS, is_key, proves
from dryport.store import StoreUnavailable, Transaction

PREFIX = "/_dryport/managed-instances"
SESSION_SECONDS = 3600.0
RENEW_BEFORE = 1800.0  # a session that ends sooner is followed by a new one
_MOST_BYTES = 16 * 1024
log = logging.getLogger("dryport.ssm")


class Application(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A machine's wish to join. ``public_key`` is the raw Ed25519 key, as base64."""

    activation_id: str
    activation_code: str
    public_key: bytes
    machine: Facts = Facts()


class Refusal(Exception):
    """An answer other than 200: the status, a code for programs, a message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Door:
    """``handle`` is the raw route below ``PREFIX``."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._clock = context.clock
        self._random = context.random
        self._attempts = Attempts(context.clock)

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request, whatever happens."""
        try:
            answer = await self._serve(exchange)
            status = 200
        except Refusal as refusal:
            status, answer = refusal.status, {"code": refusal.code, "message": str(refusal)}
        except StoreUnavailable:
            status, answer = 503, {"code": "ServiceUnavailable", "message": "Nothing can be stored at the moment."}
        headers = [("content-type", "application/json"), ("cache-control", "no-store")]
        exchange.respond(status, headers, msgspec.json.encode(answer))

    async def _serve(self, exchange: Exchange) -> Mapping[str, Any]:
        body = await _body(exchange)
        match exchange.method, exchange.path.removeprefix(PREFIX).strip("/").split("/"):
            case "POST", [""]:
                return await self._join(exchange.source_ip, body)
            case "POST", [instance_id, "credentials"]:
                return await self._renew(exchange, instance_id, body)
            case "DELETE", [instance_id]:
                return await self._leave(exchange, instance_id, body)
        raise Refusal(404, "NotFound", "There is nothing here.")

    async def _join(self, address: str, body: bytes) -> Mapping[str, Any]:
        wait = self._attempts.wait(address)
        if wait:
            raise Refusal(429, "TooManyRequests", f"Too many refused requests came from here: wait {wait:.0f} s.")
        application = _decoded(body, Application)
        if not is_key(application.public_key):
            raise Refusal(400, "InvalidRequest", "publicKey is no Ed25519 key.")
        try:
            machine = await self._store.transact(lambda tx: self._register(tx, application, address))
        except Refusal:
            self._attempts.failed(address)
            raise
        log.info("%s joined by the activation %s", machine.id, machine.activation_id)
        return {"instanceId": machine.id, "account": machine.account, "region": machine.region}

    def _register(self, tx: Transaction, application: Application, address: str) -> ManagedInstance:
        activation, now = tx.get(ACTIVATIONS, application.activation_id), self._clock.time()
        if activation is None or not activation.admits(application.activation_code):
            raise Refusal(403, "InvalidActivation", "The activation's id or code is not valid.")
        for known in tx.find(MANAGED_INSTANCES, "public_key", application.public_key.hex()):
            if known.activation_id == activation.id:
                return known  # the answer to the same request was lost
        if now >= activation.expires:
            raise Refusal(403, "ActivationExpired", "The activation has expired.")
        if activation.registrations >= activation.limit:
            raise Refusal(403, "ActivationUsedUp", "As many machines as the activation allows have joined by it.")
        machine = ManagedInstance(
            id=resource_id(self._random, "mi"),
            account=activation.account,
            region=activation.region,
            activation_id=activation.id,
            iam_role=activation.iam_role,
            public_key=application.public_key,
            registered_at=now,
            heard_at=now,
            name=activation.instance_name,
            facts=replace(application.machine, ip_address=address),
            tags=activation.tags,
        )
        tx.put(ACTIVATIONS, replace(activation, registrations=activation.registrations + 1))
        tx.put(MANAGED_INSTANCES, machine)
        return machine

    async def _renew(self, exchange: Exchange, instance_id: str, body: bytes) -> Mapping[str, Any]:
        facts = _decoded(body, Facts) if body else None

        def work(tx: Transaction) -> Credential:
            machine, now = self._proven(tx, exchange, instance_id, body), self._clock.time()
            said = replace(facts or machine.facts, ip_address=exchange.source_ip)
            tx.put(MANAGED_INSTANCES, replace(machine, heard_at=now, facts=said))
            iam.revoke_expired(tx, machine.id, now)
            return self._session(tx, machine, now)

        session = await self._store.transact(work)
        return {
            "accessKeyId": session.access_key_id,
            "secretAccessKey": session.secret_access_key,
            "sessionToken": session.session_token,
            "expiration": session.expires,
            "roleArn": session.role_arn,
        }

    def _session(self, tx: Transaction, machine: ManagedInstance, now: float) -> Credential:
        for session in tx.find(CREDENTIALS, "owner", machine.id):
            if session.expires is not None and session.expires - now > RENEW_BEFORE:
                return session
        return iam.issue_session(
            tx,
            self._random,
            role_arn=arn.make("iam", "", machine.account, f"role/{machine.iam_role}"),
            session_name=machine.id,
            now=now,
            owner=machine.id,
            seconds=SESSION_SECONDS,
        )

    async def _leave(self, exchange: Exchange, instance_id: str, body: bytes) -> Mapping[str, Any]:
        def work(tx: Transaction) -> None:
            machine = self._proven(tx, exchange, instance_id, body)
            machines.forget(tx, machine)
            iam.revoke_sessions(tx, machine.id)

        await self._store.transact(work)
        return {}

    def _proven(self, tx: Transaction, exchange: Exchange, instance_id: str, body: bytes) -> ManagedInstance:
        machine, headers = tx.get(MANAGED_INSTANCES, instance_id), exchange.headers
        date, signature = headers.get("x-dryport-date", ""), headers.get("x-dryport-signature", "")
        if not date.isdecimal() or abs(int(date) - self._clock.time()) > SKEW_SECONDS:
            raise Refusal(403, "RequestExpired", "The machine's clock is more than five minutes off.")
        if machine is None or not proves(
            machine.public_key, _base64(signature), exchange.method, exchange.path, date, body
        ):
            raise Refusal(403, "InvalidInstance", "The machine is not managed, or the signature is not its own.")
        return machine


async def _body(exchange: Exchange) -> bytes:
    collected = bytearray()
    async for chunk in exchange.chunks():
        collected += chunk
        if len(collected) > _MOST_BYTES:
            raise Refusal(413, "InvalidRequest", f"The body has more than {_MOST_BYTES} bytes.")
    return bytes(collected)


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(400, "InvalidRequest", f"The body is not as it should be: {error}.") from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
