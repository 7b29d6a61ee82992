"""AssumeRoleWithWebIdentity with real tokens of a provider on loopback, and the providers' own operations."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dryport.aws.errors import ServiceError
from dryport.iam.room import room as iam_room
from dryport.iam.web_identity import tokens
from dryport.s3.room import room as s3_room
from dryport.sts.room import room as sts_room
from tests.iam.accounts import ACCOUNT, User, document_of, statement
from tests.iam.test_roles import READ, session
from tests.served import Served, refusal
from tests.sts.provider import Provider, Signer, encoded

AUDIENCE = "sts.amazonaws.com"
DENIED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
NO_KEY = (
    "InvalidIdentityToken",
    "Couldn't retrieve verification key from your identity provider, "
    "please reference AssumeRoleWithWebIdentity documentation for requirements",
)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("web"), [iam_room, sts_room, s3_room])
    running.client("s3").create_bucket(Bucket="photos")
    running.client("s3").put_object(Bucket="photos", Key="a", Body=b"abc")
    yield running
    running.stop()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path, "/realm")
    yield made
    made.stop()


def register(served: Served, provider: Provider, **more: Any) -> str:
    """Have IAM know a provider; its ARN."""
    request = {"ClientIDList": [AUDIENCE], "ThumbprintList": [provider.thumbprint], **more}
    arn: str = served.client("iam").create_open_id_connect_provider(Url=provider.issuer, **request)[
        "OpenIDConnectProviderArn"
    ]
    return arn


def make_role(served: Served, provider_arn: str, **condition: Any) -> str:
    iam, name = served.client("iam"), f"web-{next(_numbers)}"
    trust = document_of(
        {"Principal": {"Federated": provider_arn}, "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]},
        **({"Condition": {"StringEquals": condition}} if condition else {}),
    )
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=READ)
    return arn


def anybody(served: Served) -> Any:
    """A client without a key."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, parameter_validation=False)
    return boto3.client("sts", endpoint_url=served.endpoint, region_name="us-east-1", config=config)


def claims(provider: Provider, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    about = {"iss": provider.issuer, "sub": "repo:me/app", "aud": AUDIENCE, "iat": now, "exp": now + 300}
    return {key: value for key, value in (about | more).items() if value is not None}


def assume(served: Served, role: str, token: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = anybody(served).assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="job", WebIdentityToken=token, **more
    )
    return answer


@pytest.mark.parametrize("key", [0, 1])
def test_a_token_gives_a_session_of_the_role(served: Served, provider: Provider, key: int) -> None:
    """RS256 and ES256; under the role's policies, and conditions on whom the token is about."""
    arn = register(served, provider)
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider.url}"
    conditions = {f"{provider.url}:sub": "repo:me/app", f"{provider.url}:aud": AUDIENCE}
    role = make_role(served, arn, **conditions)
    answer = assume(served, role, provider.signers[key].token(claims(provider)), DurationSeconds=900)
    assert answer["SubjectFromWebIdentityToken"] == "repo:me/app"
    assert (answer["Provider"], answer["Audience"]) == (arn, AUDIENCE)
    assert answer["AssumedRoleUser"]["Arn"].endswith(f"assumed-role/{role.rpartition('/')[2]}/job")
    s3 = session(served, "s3", answer["Credentials"])
    assert s3.get_object(Bucket="photos", Key="a")["Body"].read() == b"abc"
    assert refusal(s3.put_object, Bucket="photos", Key="b", Body=b"")[0] == "AccessDenied"
    other = provider.signers[key].token(claims(provider, sub="repo:you/app"))
    assert refusal(assume, served=served, role=role, token=other) == DENIED
    long = {"DurationSeconds": 3601, "served": served, "role": role}
    assert refusal(assume, token=provider.signers[key].token(claims(provider)), **long)[0] == "ValidationError"
    served.client("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def test_tokens_that_are_not_good(served: Served, provider: Provider) -> None:
    arn = register(served, provider)
    role, signer = make_role(served, arn), provider.signers[0]
    now = int(time.time())

    def refused(token: str) -> tuple[str, str]:
        return refusal(assume, served=served, role=role, token=token)

    code, message = refused(signer.token(claims(provider, exp=now - 1)))
    assert code == "ExpiredTokenException"
    assert message.startswith("Token expired: current date/time ")
    assert message.endswith(f" must be before the expiration date/time {now - 1}")
    assert refused(signer.token(claims(provider, aud="other"))) == ("InvalidIdentityToken", "Incorrect token audience")
    assert refused(signer.token(claims(provider, sub=None)))[1] == "Missing a required claim: sub"
    assert refused(signer.token(claims(provider, iss="https://else.example"))) == (
        "InvalidIdentityToken",
        "No OpenIDConnect provider found in your account for https://else.example",
    )
    assert refused(signer.token(claims(provider, nbf=now + 3600)))[0] == "InvalidIdentityToken"
    assert refused("abcd.efgh.ijkl")[1].startswith("The ID Token provided is not a valid JWT.")
    # Another's key under the name of the provider's; no signature; the header's algorithm exchanged.
    assert refused(Signer("one").token(claims(provider))) == NO_KEY
    good = signer.token(claims(provider))
    head, body, signature = good.split(".")
    unsigned = encoded(json.dumps({"alg": "none"}).encode())
    assert refused(f"{unsigned}.{body}.") == NO_KEY
    for algorithm in ("HS256", "ES256", "RS512"):
        changed = encoded(json.dumps({"alg": algorithm, "kid": "one"}).encode())
        assert refused(f"{changed}.{body}.{signature}") == NO_KEY
    forged = encoded(json.dumps(claims(provider, sub="root")).encode())
    assert refused(f"{head}.{forged}.{signature}") == NO_KEY
    assume(served, role, good)


def test_a_provider_changes_its_keys(served: Served, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is not known is looked for; known ones are not asked for again and again."""
    monkeypatch.setattr("dryport.iam.web_identity.keys._AGAIN_SECONDS", 0.0)
    role = make_role(served, register(served, provider))
    for _ in range(5):
        assume(served, role, provider.signers[0].token(claims(provider)))
    assert len(provider.asked) == 2
    provider.signers.append(Signer("three"))
    assume(served, role, provider.signers[2].token(claims(provider)))
    assert len(provider.asked) == 4


def test_a_provider_that_is_not_who_it_should_be(served: Served, provider: Provider) -> None:
    """Its certificate must chain to one of the thumbprints; its document must be its own."""
    arn = register(served, provider, ThumbprintList=["0" * 40])
    role, iam = make_role(served, arn), served.client("iam")
    ask: dict[str, Any] = {"served": served, "role": role, "token": provider.signers[0].token(claims(provider))}
    code, message = refusal(assume, **ask)
    assert code == "IDPCommunicationError" and "certificate" in message.lower()
    assert provider.asked == []
    iam.update_open_id_connect_provider_thumbprint(
        OpenIDConnectProviderArn=arn, ThumbprintList=[provider.thumbprint.upper()]
    )
    configuration = "/realm/.well-known/openid-configuration"
    for document in (b"[", b"[]", {"issuer": "https://x", "jwks_uri": provider.issuer}, {"issuer": provider.issuer}):
        provider.overrides = {configuration: document}
        assert refusal(assume, **ask) == NO_KEY
    provider.overrides = {"/realm/keys": b"x" * 300_000}
    assert refusal(assume, **ask) == NO_KEY
    provider.overrides = {}
    assume(**ask)


def test_a_provider_that_is_away(served: Served, tmp_path: Path) -> None:
    made = Provider(tmp_path)
    role = make_role(served, register(served, made))
    token = made.signers[0].token(claims(made))
    made.stop()
    assert refusal(assume, served=served, role=role, token=token)[0] == "IDPCommunicationError"
    url = made.issuer + "/else"
    assert refusal(served.client("iam").create_open_id_connect_provider, Url=url)[0] == "OpenIdIdpCommunicationError"


def test_roles_that_do_not_trust_the_provider(served: Served, provider: Provider) -> None:
    """One that trusts another, one that is a service's, none."""
    register(served, provider)
    token = provider.signers[0].token(claims(provider))
    other = make_role(served, f"arn:aws:iam::{ACCOUNT}:oidc-provider/else.example")
    for role in (other, f"arn:aws:iam::{ACCOUNT}:role/none"):
        assert refusal(assume, served=served, role=role, token=token) == DENIED


def test_tags_and_source_of_a_token(served: Served, provider: Provider) -> None:
    """They are the session's; a source identity needs a permission that this role does not give."""
    role = make_role(served, register(served, provider), **{"aws:RequestTag/team": "blue"})
    tagged = {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}}
    signer = provider.signers[0]
    answer = assume(served, role, signer.token(claims(provider, **tagged)))
    assert answer["PackedPolicySize"] > 0
    assert refusal(assume, served=served, role=role, token=signer.token(claims(provider))) == DENIED
    source = {"https://aws.amazon.com/source_identity": "me"}
    code, message = refusal(assume, served=served, role=role, token=signer.token(claims(provider, **tagged, **source)))
    assert (code, message) == ("AccessDenied", "Not authorized to perform sts:SetSourceIdentity")
    broken = signer.token(claims(provider, **{"https://aws.amazon.com/tags": {"principal_tags": 3}}))
    assert refusal(assume, served=served, role=role, token=broken)[0] == "InvalidIdentityToken"


def test_providers_are_what_they_were_made(served: Served, provider: Provider) -> None:
    """Without a thumbprint that of the authority that the provider shows is taken."""
    iam = served.client("iam")
    arn = register(served, provider, ThumbprintList=[], Tags=[{"Key": "a", "Value": "b"}])
    named = {"OpenIDConnectProviderArn": arn}
    found = iam.get_open_id_connect_provider(**named)
    assert (found["Url"], found["ClientIDList"]) == (provider.url, [AUDIENCE])
    assert found["ThumbprintList"] == [provider.thumbprint]
    assert found["Tags"] == [{"Key": "a", "Value": "b"}]
    assert {"Arn": arn} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    request = {"Url": provider.issuer, "ThumbprintList": [provider.thumbprint]}
    assert refusal(iam.create_open_id_connect_provider, **request) == (
        "EntityAlreadyExists",
        f"Provider with url {provider.issuer} already exists.",
    )
    iam.add_client_id_to_open_id_connect_provider(**named, ClientID="two")
    iam.add_client_id_to_open_id_connect_provider(**named, ClientID="two")
    iam.remove_client_id_from_open_id_connect_provider(**named, ClientID=AUDIENCE)
    assert iam.get_open_id_connect_provider(**named)["ClientIDList"] == ["two"]
    iam.tag_open_id_connect_provider(**named, Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_open_id_connect_provider(**named, TagKeys=["a"])
    assert iam.list_open_id_connect_provider_tags(**named)["Tags"] == [{"Key": "c", "Value": "d"}]
    allowed = statement("Allow", "iam:*", Condition={"StringEquals": {"aws:ResourceTag/c": "d"}})
    assert User(served, allowed).client("iam").get_open_id_connect_provider(**named)["Url"] == provider.url
    user = User(served, statement("Allow", "iam:CreateOpenIDConnectProvider", arn))
    again = refusal(user.client("iam").create_open_id_connect_provider, **request)
    assert again[0] == "EntityAlreadyExists"
    for url in ("http://else.example", "https://", "https://else.example?a=b", "nothing"):
        assert refusal(iam.create_open_id_connect_provider, **request | {"Url": url})[0] == "ValidationError"
    assert refusal(iam.create_open_id_connect_provider, Url="https://e.example", ThumbprintList=["z" * 40])[0] == (
        "InvalidInput"
    )
    iam.delete_open_id_connect_provider(**named)
    iam.delete_open_id_connect_provider(**named)
    assert refusal(iam.get_open_id_connect_provider, **named) == (
        "NoSuchEntity",
        f"OpenIDConnect Provider not found for arn {arn}",
    )


_SIGNER = Signer("one", "ES256")
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "azp"]), _VALUES),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit"]), _VALUES),
    st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"]), _VALUES),
)
def test_no_token_and_no_key_breaks_anything(body: dict[str, Any], header: dict[str, Any], key: dict[str, Any]) -> None:
    """Whatever is in them: refused, or read and not believed."""
    try:
        token = tokens.read(_SIGNER.token(body, **header), time.time())
    except ServiceError as error:
        assert error.code in ("InvalidIdentityToken", "ExpiredTokenException")
    else:
        assert not tokens.signed_by(token, [key])


@given(st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(ServiceError):
        tokens.read(text, 0.0)
