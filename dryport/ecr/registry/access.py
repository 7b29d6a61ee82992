"""Who comes, and to whose registry: authorization tokens as ECR takes them (Basic, user ``AWS``)."""

from __future__ import annotations

from urllib.parse import parse_qs

from dryport.ecr import errors, names, published, tokens
from dryport.ecr.contents import Contents
from dryport.ecr.registry.errors import RegistryError, translate
from dryport.ecr.registry.request import API_VERSION
from dryport.ecr.registry.routes import Route
from dryport.gateway.http import Exchange

_ACTIONS = {"GET": "ecr:BatchGetImage", "HEAD": "ecr:BatchGetImage", "DELETE": "ecr:BatchDeleteImage"}


class Unauthorized(Exception):
    """No token was sent: the client is asked for one."""


def challenge(exchange: Exchange) -> None:
    """Ask for a token, in ECR's words."""
    realm = f"{exchange.scheme}://{exchange.headers.get('host', '')}/".replace('"', "")
    headers = [
        API_VERSION,
        ("www-authenticate", f'Basic realm="{realm}",service="ecr.amazonaws.com"'),
        ("content-type", "text/plain; charset=utf-8"),
    ]
    exchange.respond(401, headers, b"" if exchange.method == "HEAD" else b"Not Authorized\n")


def admit(contents: Contents, exchange: Exchange, route: Route) -> names.RegistryAddress:
    """The registry that a request is for, once its token allows it.

    A host that names no registry (``localhost:4566``) means that of whom the token was made for.
    Raises Unauthorized and RegistryError.
    """
    address = names.parse_host(exchange.headers.get("host", ""))
    if address is not None and _is_signed_download(contents, exchange, route, address):
        return address
    claims = _claims(contents, exchange)
    if address is None:
        return names.RegistryAddress(claims.account, claims.region)
    if address.account != claims.account:
        action = _ACTIONS.get(exchange.method, "ecr:InitiateLayerUpload")
        resource = names.repository_arn(address.account, address.region, route.name or "*")
        raise translate(errors.not_authorized(claims.principal_arn, action, resource))
    return address


def _claims(contents: Contents, exchange: Exchange) -> tokens.Claims:
    authorization = exchange.headers.get("authorization", "")
    if not authorization:
        raise Unauthorized
    secret = published.known_secret(contents.store.reader)
    try:
        user, password = tokens.parse_basic(authorization)
        if user != tokens.USER or secret is None:
            raise tokens.InvalidToken("no token was made for this user")
        return tokens.read(secret, password, contents.now())
    except tokens.ExpiredToken:
        message = "Your authorization token has expired. Reauthenticate and try again."
        raise RegistryError(403, "DENIED", message) from None
    except tokens.InvalidToken:
        raise RegistryError(400, "DENIED", "Your authorization token is invalid.") from None


def _is_signed_download(contents: Contents, exchange: Exchange, route: Route, address: names.RegistryAddress) -> bool:
    if route.kind != "blobs" or exchange.method not in ("GET", "HEAD") or "signature=" not in exchange.query:
        return False
    query = parse_qs(exchange.query)
    expires, signature = query.get("expires", [""])[0], query.get("signature", [""])[0]
    secret = published.known_secret(contents.store.reader)
    if secret is None or not (expires.isascii() and expires.isdigit()):
        return False
    arn = names.repository_arn(address.account, address.region, route.name)
    return tokens.may_download(secret, arn, route.target, int(expires[:12]), signature, contents.now())
