"""OpenID Connect providers: whose tokens may assume roles (AssumeRoleWithWebIdentity)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.common import (
    Request,
    exists,
    invalid_input,
    limit,
    no_such_entity,
    page,
    tag_list,
    tags_of,
    without,
)
from dryport.iam.model import PROVIDERS, Provider
from dryport.iam.web_identity import keys
from dryport.store import Transaction

LIMIT, CLIENTS, THUMBPRINTS = 100, 100, 5  # Source: "IAM and AWS STS quotas", IAM user guide
_ARN = "OpenIDConnectProviderArn"


@SERVICE.operation("CreateOpenIDConnectProvider", unsupported=("ContextProvider", "IdentityCenterInstanceArn"))
async def create_open_id_connect_provider(call: Call, request: Request) -> Output:
    """A provider; without a thumbprint, that of the certificate that it shows is taken."""
    url = _url(request["Url"])
    thumbprints = _thumbprints(request.get("ThumbprintList") or ())
    if not thumbprints:
        try:
            thumbprints = (await asyncio.to_thread(keys.thumbprint, url),)
        except keys.Unreachable as error:
            message = f"Please check if the provider's URL is correct and that it can be reached: {error}"
            raise ServiceError("OpenIdIdpCommunicationError", message, 400) from None

    def work(tx: Transaction) -> Provider:
        call._tx = tx
        return _create(call, request, url, thumbprints)

    made = await call.store.transact(work)
    tags = {"Tags": tag_list(made.tags)} if made.tags else {}
    return {_ARN: made.arn, **tags}


@SERVICE.operation("GetOpenIDConnectProvider")
def get_open_id_connect_provider(call: Call, request: Request) -> Output:
    """A provider."""
    found = _get(call, request)
    return {
        "Url": found.url,
        "ClientIDList": list(found.clients),
        "ThumbprintList": list(found.thumbprints),
        "CreateDate": int(found.created),
        "Tags": tag_list(found.tags),
    }


@SERVICE.operation("ListOpenIDConnectProviders")
def list_open_id_connect_providers(call: Call, request: Request) -> Output:
    """The ARNs of the account's providers."""
    found = call.tx.find(PROVIDERS, "account", call.account)
    return {"OpenIDConnectProviderList": [{"Arn": one.arn} for one in sorted(found, key=lambda one: one.arn)]}


@SERVICE.operation("DeleteOpenIDConnectProvider")
def delete_open_id_connect_provider(call: Call, request: Request) -> Output:
    """Forget a provider, if it is there. Sessions that there are go on."""
    found = call.tx.get(PROVIDERS, request[_ARN])
    if found is not None and found.account == call.account:
        call.tx.delete(PROVIDERS, found.arn)
    return None


@SERVICE.operation("UpdateOpenIDConnectProviderThumbprint")
def update_open_id_connect_provider_thumbprint(call: Call, request: Request) -> Output:
    """Trust other certificates."""
    _put(call, request, thumbprints=_thumbprints(request["ThumbprintList"]))
    return None


@SERVICE.operation("AddClientIDToOpenIDConnectProvider")
def add_client_id_to_open_id_connect_provider(call: Call, request: Request) -> Output:
    """Take tokens for a further audience; one that is there stays."""
    clients = _get(call, request).clients
    _put(call, request, clients=_clients((*clients, request["ClientID"])))
    return None


@SERVICE.operation("RemoveClientIDFromOpenIDConnectProvider")
def remove_client_id_from_open_id_connect_provider(call: Call, request: Request) -> Output:
    """Take no more tokens for an audience."""
    clients = _get(call, request).clients
    _put(call, request, clients=tuple(one for one in clients if one != request["ClientID"]))
    return None


@SERVICE.operation("TagOpenIDConnectProvider")
def tag_open_id_connect_provider(call: Call, request: Request) -> Output:
    """Set tags."""
    _put(call, request, tags=tags_of(request, _get(call, request).tags))
    return None


@SERVICE.operation("UntagOpenIDConnectProvider")
def untag_open_id_connect_provider(call: Call, request: Request) -> Output:
    """Take tags away."""
    _put(call, request, tags=without(_get(call, request).tags, request["TagKeys"]))
    return None


@SERVICE.operation("ListOpenIDConnectProviderTags")
def list_open_id_connect_provider_tags(call: Call, request: Request) -> Output:
    """The tags."""
    shown, more = page(tag_list(_get(call, request).tags), request)
    return {"Tags": shown, **more}


def _create(call: Call, request: Request, url: str, thumbprints: tuple[str, ...]) -> Provider:
    arn = f"arn:{arns.partition_of(call.region)}:iam::{call.account}:oidc-provider/{url}"
    if call.tx.get(PROVIDERS, arn) is not None:
        raise exists(f"Provider with url https://{url} already exists.")
    if call.tx.count(PROVIDERS, "account", call.account) >= LIMIT:
        raise limit("OpenIdConnectProvidersPerAccount", LIMIT)
    made = Provider(
        arn=arn,
        account=call.account,
        url=url,
        clients=_clients(request.get("ClientIDList") or ()),
        thumbprints=thumbprints,
        created=call.now,
        tags=tags_of(request),
    )
    call.tx.put(PROVIDERS, made)
    return made


def _get(call: Call, request: Request) -> Provider:
    found = call.tx.get(PROVIDERS, request[_ARN])
    if found is None or found.account != call.account:
        raise no_such_entity(f"OpenIDConnect Provider not found for arn {request[_ARN]}")
    return found


def _put(call: Call, request: Request, **changes: Any) -> None:
    call.tx.put(PROVIDERS, msgspec.structs.replace(_get(call, request), **changes))


def _url(text: str) -> str:
    """A provider's URL without its scheme. Raises ServiceError."""
    try:
        parts = urlsplit(text)
        good = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username is not None or not text.isascii() or " " in text:
        raise ServiceError("ValidationError", "Invalid Open ID Connect Provider URL", 400)
    return text.removeprefix("https://").rstrip("/")


def _clients(given: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(given))
    if len(found) > CLIENTS:
        raise limit("ClientIdsPerOpenIdConnectProvider", CLIENTS)
    return found


def _thumbprints(given: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(one.lower() for one in given))
    if len(found) > THUMBPRINTS:
        raise invalid_input(f"Thumbprint list must contain fewer than {THUMBPRINTS + 1} entries.")
    if any(set(one) - set("0123456789abcdef") for one in found):
        raise invalid_input("A thumbprint is 40 hexadecimal digits.")
    return found
