"""Who comes, and to whose registry: authorization tokens as ECR takes them (Basic, user ``AWS``)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

from dryport.ecr import errors, names, published, tokens
from dryport.ecr.contents import Contents
from dryport.ecr.registry.errors import RegistryError, translate
from dryport.ecr.registry.request import API_VERSION
from dryport.ecr.registry.routes import Route
from dryport.gateway.http import Exchange
from dryport.iam import credentials as iam
from dryport.iam.enforcement.about import About
from dryport.iam.enforcement.resources import concerns
from dryport.iam.model import Credential
from dryport.store import Reader

# By what is asked for and how. Source: "Private repository policy examples" and "Required IAM permissions for pushing
# an image", ECR user guide.
_ACTIONS = {
    ("manifests", "GET"): "ecr:BatchGetImage",
    ("manifests", "HEAD"): "ecr:BatchGetImage",
    ("manifests", "PUT"): "ecr:PutImage",
    ("manifests", "DELETE"): "ecr:BatchDeleteImage",
    ("blobs", "GET"): "ecr:GetDownloadUrlForLayer",
    ("blobs", "HEAD"): "ecr:BatchCheckLayerAvailability",
    ("blobs", "DELETE"): "ecr:BatchDeleteImage",
    ("uploads", "POST"): "ecr:InitiateLayerUpload",
    ("uploads", "PUT"): "ecr:CompleteLayerUpload",
    ("tags", "GET"): "ecr:ListImages",
    ("tags", "HEAD"): "ecr:ListImages",
    ("referrers", "GET"): "ecr:ListImageReferrers",
    ("referrers", "HEAD"): "ecr:ListImageReferrers",
    ("catalog", "GET"): "ecr:DescribeRepositories",
    ("catalog", "HEAD"): "ecr:DescribeRepositories",
}
_UPLOADING = "ecr:UploadLayerPart"  # what else is done with an upload


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


@dataclass
class Visit:
    """What is known of a request so far: whose registry it is for, and who sent it."""

    address: names.RegistryAddress | None = None
    credential: Credential | None = None


def admit(contents: Contents, exchange: Exchange, route: Route, visit: Visit) -> names.RegistryAddress:
    """The registry that a request is for, once its token allows it; ``visit`` is told who comes.

    A host that names no registry (``localhost:4566``) means that of whom the token was made for.
    Raises Unauthorized and RegistryError.
    """
    address = names.parse_host(exchange.headers.get("host", ""))
    if address is not None and _is_signed_download(contents, exchange, route, address):
        return address
    claims = _claims(contents, exchange)
    if address is None:
        address = names.RegistryAddress(claims.account, claims.region)
    elif address.account != claims.account and not route.name and route.kind != "base":
        resource = names.repository_arn(address.account, address.region, "*")
        raise translate(errors.not_authorized(claims.principal_arn, action(exchange, route), resource))
    visit.address, visit.credential = address, _credential(contents.store.reader, claims)
    _authorize(contents, exchange, route, address, visit.credential)
    return address


def action(exchange: Exchange, route: Route) -> str:
    """The action that a request is."""
    return _ACTIONS.get((route.kind, exchange.method), _UPLOADING)


def _authorize(
    contents: Contents, exchange: Exchange, route: Route, address: names.RegistryAddress, credential: Credential
) -> None:
    """Hold a request against the policies of whom its token was made for, as they are now. Raises RegistryError."""
    reader = contents.store.reader
    if route.kind == "base":
        return
    if credential.identity is None and credential.role_arn is None:
        # The root user: only a repository's policy can say no.
        about_whom = {"registryId": address.account, **({"repositoryName": route.name} if route.name else {})}
        if not concerns(reader, "ecr", credential.account, address.region, about_whom):
            return
    from dryport.iam.enforcement.decision import permitted  # with the engine: a megabyte, once there are users

    headers = exchange.headers
    about = About(
        region=address.region,
        now=contents.now(),
        source_ip=exchange.source_ip,
        secure=exchange.scheme == "https",
        user_agent=headers.get("user-agent"),
        referer=headers.get("referer"),
    )
    wanted = [(action(exchange, route), route.name or "*")]
    if route.kind == "uploads":
        query = parse_qs(exchange.query, keep_blank_values=True)
        # A layer that is mounted is read where it comes from; one that is sent whole is completed, too.
        sources = query.get("from", ["*"]) if "mount" in query else []
        wanted += [("ecr:GetDownloadUrlForLayer", source or "*") for source in sources]
        wanted += [("ecr:CompleteLayerUpload", route.name)] if "digest" in query else []
    for one, name in wanted:
        arn = names.repository_arn(address.account, address.region, name)
        refused = permitted(reader, credential, one, arn, about)
        if refused is not None:
            raise RegistryError(403, "DENIED", refused.message)


def _credential(reader: Reader, claims: tokens.Claims) -> Credential:
    """Whose rights a token has. It outlives a session of a role (its 12 hours are its own), but no user's key."""
    credential = iam.find(reader, claims.access_key_id)
    of_root = claims.principal_arn.endswith(":root")  # whose key may be a developer's, which is not stored
    if credential is None and (of_root or claims.role_arn is not None) and not claims.limited:
        return Credential(
            access_key_id=claims.access_key_id,
            secret_access_key="",
            account=claims.account,
            principal_arn=claims.principal_arn,
            user_id=claims.user_id,
            role_arn=claims.role_arn,
            identity=claims.identity,
        )
    if credential is None or credential.inactive:
        raise RegistryError(403, "DENIED", "Your authorization token is invalid.")
    return credential


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
