"""What the instance metadata service answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.host.messages import Metadata
from dryport.host.metadata.service import Question, Reply, reply
from dryport.host.metadata.tokens import Tokens

TOKENS = Tokens(b"k" * 32)
NOW = 1_700_000_000.0
TREE = {
    "meta-data/instance-id": "i-1",
    "meta-data/iam/info": "{}",
    "meta-data/iam/security-credentials/role": '{"Code": "Success"}',
    "meta-data/public-keys/": "0=mine",
    "meta-data/public-keys/0/openssh-key": "ssh-ed25519 AAAA mine",
    "dynamic/instance-identity/document": '{"region": "us-east-1"}',
}


def ask(path: str, method: str = "GET", known: Metadata | None = None, now: float = NOW, **headers: str) -> Reply:
    known = known or Metadata(address="10.0.0.4", tree=TREE, user_data=b"#!/bin/sh\n")
    question = Question(method, path, {name.replace("_", "-"): value for name, value in headers.items()})
    return reply(question, "i-1", known, TOKENS, now)


def token(ttl: str = "60", instance: str = "i-1") -> Reply:
    question = Question("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": ttl})
    return reply(question, instance, Metadata(address="10.0.0.4", hop_limit=2), TOKENS, NOW)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/latest", "dynamic\nmeta-data\nuser-data"),
        ("/latest/", "dynamic\nmeta-data\nuser-data"),
        ("/latest/meta-data", "iam/\ninstance-id\npublic-keys/"),
        ("/latest/meta-data/", "iam/\ninstance-id\npublic-keys/"),
        ("/2021-07-15/meta-data/iam/", "info\nsecurity-credentials/"),
        ("/latest/meta-data/iam/security-credentials/", "role"),
        ("/latest/meta-data/iam/security-credentials/role", '{"Code": "Success"}'),
        ("/latest/meta-data/public-keys/", "0=mine"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA mine"),
        ("/1.0/dynamic/instance-identity/document", '{"region": "us-east-1"}'),
        ("/latest/user-data", "#!/bin/sh\n"),
    ],
)
def test_leaves_and_directories(path: str, body: str) -> None:
    answer = ask(path)
    assert (answer.status, answer.body.decode(), answer.kind, answer.hop_limit) == (200, body, "text/plain", 0)


def test_the_top_lists_versions() -> None:
    versions = ask("/").body.decode().split("\n")
    assert versions[0] == "1.0" and versions[-1] == "latest" and "2021-07-15" in versions


@pytest.mark.parametrize("path", ["/latest/meta-data/instance-id/", "/latest/nothing", "/2000-01-01/", "/favicon.ico"])
def test_what_is_not_there(path: str) -> None:
    assert ask(path).status == 404


def test_an_instance_without_user_data_has_none() -> None:
    bare = Metadata(address="10.0.0.4", tree=TREE)
    assert ask("/latest/user-data", known=bare).status == 404
    assert ask("/latest/", known=bare).body == b"dynamic\nmeta-data"


def test_a_token_is_given_and_used() -> None:
    given_token = token()
    assert (given_token.status, given_token.hop_limit) == (200, 2)
    assert ("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60") in given_token.headers
    strict = Metadata(address="10.0.0.4", tree=TREE, tokens_required=True)
    path = "/latest/meta-data/instance-id"
    assert ask(path, known=strict).status == 401
    held = given_token.body.decode()
    answer = ask(path, known=strict, x_aws_ec2_metadata_token=held, now=NOW + 10)
    assert (answer.status, answer.body) == (200, b"i-1")
    assert answer.headers == (("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "50"),)
    assert ask(path, known=strict, x_aws_ec2_metadata_token=held, now=NOW + 60).status == 401


def test_a_token_is_bound_to_its_instance() -> None:
    other = token(instance="i-2").body.decode()
    assert ask("/latest/meta-data/instance-id", x_aws_ec2_metadata_token=other).status == 401


@pytest.mark.parametrize("ttl", ["", "0", "21601", "-1", "x", "1.5", "١"])
def test_a_token_needs_a_time_to_live(ttl: str) -> None:
    assert token(ttl).status == 400


def test_a_token_is_only_put_and_not_through_a_proxy() -> None:
    refused = ask("/latest/api/token")
    assert refused.status == 405 and ("Allow", "OPTIONS, PUT") in refused.headers
    assert ask("/latest/meta-data/", "POST").status == 405
    forwarded = ask("/latest/api/token", "PUT", x_aws_ec2_metadata_token_ttl_seconds="60", x_forwarded_for="1.2.3.4")
    assert forwarded.status == 403


def test_a_service_that_is_off_refuses_everything() -> None:
    off = Metadata(address="10.0.0.4", tree=TREE, enabled=False)
    for method, path in (("GET", "/"), ("GET", "/latest/meta-data/"), ("PUT", "/latest/api/token")):
        assert ask(path, method, known=off).status == 403


@given(st.text(max_size=60), st.sampled_from(["GET", "PUT", "HEAD", "OPTIONS"]), st.text(max_size=90))
def test_no_request_makes_it_fail(path: str, method: str, held: str) -> None:
    answer = ask(f"/{path}", method, x_aws_ec2_metadata_token=held)
    assert answer.status in (401, 403, 404, 405, 400)
