"""Server certificates: what load balancers showed before there was ACM, and still may."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from dryport.acm import published as acm
from dryport.aws.errors import ServiceError
from dryport.elb import published as elb
from dryport.gateway.service import Call, Output, Service
from dryport.iam.api.common import Request, exists, limit, no_such_entity, page, tag_list, tags_of, without
from dryport.iam.credentials import unique_id
from dryport.iam.model import SERVER_CERTIFICATES, ServerCertificate
from dryport.store.sealing import Sealer

LIMIT = 20  # Source: "IAM and AWS STS quotas", IAM user guide


def register(service: Service, sealer: Sealer) -> None:
    """Add the operations; ``sealer`` keeps the private keys."""
    service.operation("UploadServerCertificate")(partial(_upload, sealer))
    service.operation("GetServerCertificate")(get)
    service.operation("ListServerCertificates")(list_all)
    service.operation("UpdateServerCertificate")(partial(_update, sealer))
    service.operation("DeleteServerCertificate")(delete)
    service.operation("TagServerCertificate")(tag)
    service.operation("UntagServerCertificate")(untag)
    service.operation("ListServerCertificateTags")(list_tags)


def _find(call: Call, name: str) -> ServerCertificate:
    found = call.tx.get(SERVER_CERTIFICATES, f"{call.account}/{name}")
    if found is None:
        raise no_such_entity(f"The Server Certificate with name {name} cannot be found.")
    return found


def _upload(sealer: Sealer, call: Call, request: Request) -> Output:
    """Keep a certificate and its key. Raises ServiceError (MalformedCertificate, KeyPairMismatch, …)."""
    name = request["ServerCertificateName"]
    if call.tx.get(SERVER_CERTIFICATES, f"{call.account}/{name}") is not None:
        raise exists(f"The Server Certificate with name {name} already exists.")
    if call.tx.count(SERVER_CERTIFICATES, "account", call.account) >= LIMIT:
        raise limit("ServerCertificatesPerAccount", LIMIT)
    read = _read(request, call.now)
    made = ServerCertificate(
        account=call.account,
        name=name,
        path=request.get("Path", "/"),
        id=unique_id(call.random, "ASCA"),
        uploaded=call.now,
        expires=read.expires,
        body=read.body,
        chain=read.chain,
        tags=tags_of(request),
    )
    call.tx.put(SERVER_CERTIFICATES, msgspec.structs.replace(made, key=sealer.seal(read.key, made.arn)))
    tags = {"Tags": tag_list(made.tags)} if made.tags else {}
    return {"ServerCertificateMetadata": metadata(made), **tags}


def _read(request: Request, now: float) -> acm.Read:
    body, key = request["CertificateBody"].encode(), request["PrivateKey"].encode()
    try:
        return acm.read(body, key, request.get("CertificateChain", "").encode(), now)
    except acm.Mismatch as error:
        raise ServiceError("KeyPairMismatch", str(error), 400) from None
    except ServiceError as error:
        raise ServiceError("MalformedCertificate", error.message, 400) from None


def metadata(each: ServerCertificate) -> dict[str, Any]:
    """A certificate as every operation shows it."""
    return {
        "Path": each.path,
        "ServerCertificateName": each.name,
        "ServerCertificateId": each.id,
        "Arn": each.arn,
        "UploadDate": each.uploaded,
        "Expiration": each.expires,
    }


def get(call: Call, request: Request) -> Output:
    """A certificate with its body; its key nobody gets."""
    found = _find(call, request["ServerCertificateName"])
    shown: dict[str, Any] = {"ServerCertificateMetadata": metadata(found), "CertificateBody": found.body}
    if found.chain:
        shown["CertificateChain"] = found.chain
    if found.tags:
        shown["Tags"] = tag_list(found.tags)
    return {"ServerCertificate": shown}


def list_all(call: Call, request: Request) -> Output:
    """The certificates below ``PathPrefix``, by name."""
    prefix = request.get("PathPrefix", "/")
    found = [
        each for each in call.tx.find(SERVER_CERTIFICATES, "account", call.account) if each.path.startswith(prefix)
    ]
    shown, more = page(sorted(found, key=lambda each: each.name.lower()), request)
    return {"ServerCertificateMetadataList": [metadata(each) for each in shown], **more}


def _update(sealer: Sealer, call: Call, request: Request) -> Output:
    """Another name or path, and so another ARN."""
    found = _find(call, request["ServerCertificateName"])
    name = request.get("NewServerCertificateName", found.name)
    if name != found.name and call.tx.get(SERVER_CERTIFICATES, f"{call.account}/{name}") is not None:
        raise exists(f"The Server Certificate with name {name} already exists.")
    _check_unused(call, found)
    changed = msgspec.structs.replace(found, name=name, path=request.get("NewPath", found.path))
    key = sealer.seal(sealer.open(found.key, found.arn), changed.arn)
    call.tx.delete(SERVER_CERTIFICATES, f"{found.account}/{found.name}")
    call.tx.put(SERVER_CERTIFICATES, msgspec.structs.replace(changed, key=key))
    return None


def _check_unused(call: Call, found: ServerCertificate) -> None:
    for user in elb.users_of_certificate(call.tx, found.arn):
        message = (
            f"Certificate: {found.id} is currently in use by {elb.shown_arn(call.tx, user)}. "
            "Please remove it first before deleting it from IAM."
        )
        raise ServiceError("DeleteConflict", message, 409)


def delete(call: Call, request: Request) -> Output:
    """Forget a certificate that no load balancer shows."""
    found = _find(call, request["ServerCertificateName"])
    _check_unused(call, found)
    call.tx.delete(SERVER_CERTIFICATES, f"{found.account}/{found.name}")
    return None


def tag(call: Call, request: Request) -> Output:
    """Add tags, or change their values."""
    found = _find(call, request["ServerCertificateName"])
    call.tx.put(SERVER_CERTIFICATES, msgspec.structs.replace(found, tags=tags_of(request, found.tags)))
    return None


def untag(call: Call, request: Request) -> Output:
    """Remove tags."""
    found = _find(call, request["ServerCertificateName"])
    call.tx.put(SERVER_CERTIFICATES, msgspec.structs.replace(found, tags=without(found.tags, request["TagKeys"])))
    return None


def list_tags(call: Call, request: Request) -> Output:
    """A certificate's tags, by page."""
    found = _find(call, request["ServerCertificateName"])
    shown, more = page(tag_list(found.tags), request)
    return {"Tags": shown, **more}
