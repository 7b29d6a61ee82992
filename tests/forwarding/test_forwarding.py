"""Forwarding behind the real gateway: what the upstream gets, what the caller gets back, and who may."""

from __future__ import annotations

import gzip
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError

from dryport.cloudtrail.room import room as cloudtrail
from dryport.control.config import Forward
from dryport.forwarding.room import room
from dryport.iam.room import room as iam
from dryport.sts.room import room as sts
from tests.forwarding.upstreams import Upstream, upstream
from tests.iam.accounts import ACCOUNT, User, statement
from tests.iam.test_roles import session
from tests.served import Served, refusal

SECRET = "upstream-secret-of-the-tests"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"
URL = f"http://localhost:1/{ACCOUNT}/jobs"
SERVICES = ("sqs", "sns", "dynamodb", "lambda", "route53", "polly", "cognito-idp")


@pytest.fixture
def behind() -> Iterator[Upstream]:
    with upstream() as known:
        yield known


@pytest.fixture
def served(tmp_path: Path, behind: Upstream) -> Iterator[Served]:
    keys = tmp_path / "keys"
    keys.touch(0o600)
    keys.write_text(f"[default]\naws_access_key_id = AKIAUPSTREAM\naws_secret_access_key = {SECRET}\n")
    state = tmp_path / "state"
    state.mkdir()
    forwards = tuple(Forward(service=name, to=behind.url) for name in SERVICES)
    running = Served(state, [room, iam, sts, cloudtrail], forwards=forwards, forward_credentials=str(keys))
    yield running
    running.stop()


def test_what_the_upstream_gets(served: Served, behind: Upstream) -> None:
    """The request as it was, signed anew; nothing of the caller's own."""
    key = served.client("sts").get_session_token()["Credentials"]
    behind.parts = [b'{"MessageId": "m", "MD5OfMessageBody": "5d41402abc4b2a76b9719d911017c592"}']
    answer = session(served, "sqs", key).send_message(QueueUrl=URL, MessageBody="hello")
    assert answer["MessageId"] == "m"
    got = behind.received[0]
    assert (got.method, got.path, got.headers["x-amz-target"]) == ("POST", "/", "AmazonSQS.SendMessage")
    assert json.loads(got.body) == {"QueueUrl": URL, "MessageBody": "hello"}
    assert got.is_signed_with(SECRET)
    assert "Credential=AKIAUPSTREAM/" in got.headers["authorization"]
    assert "/us-east-1/sqs/aws4_request" in got.headers["authorization"]
    assert got.headers["host"] == behind.url.removeprefix("http://")
    whole = repr(got)
    for own in (key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"], served.key.access_key_id):
        assert own not in whole


def test_a_compressed_body_goes_on_unpacked(served: Served, behind: Upstream) -> None:
    """It has to be read to say what it needs; so the upstream is not told that it is compressed."""

    def pack(request: Any, **_: Any) -> None:
        request.data = gzip.compress(request.data)
        request.headers["Content-Encoding"] = "gzip"

    behind.parts = [b'{"MessageId": "m", "MD5OfMessageBody": "5d41402abc4b2a76b9719d911017c592"}']
    client = served.client("sqs")
    client.meta.events.register("before-sign.sqs.SendMessage", pack)
    client.send_message(QueueUrl=URL, MessageBody="hello")
    [got] = behind.received
    assert json.loads(got.body) == {"QueueUrl": URL, "MessageBody": "hello"}
    assert "content-encoding" not in got.headers
    assert got.is_signed_with(SECRET)


CALLS: list[tuple[str, Callable[[Any], Any], str, str, bytes]] = [
    ("sns", lambda c: c.list_topics(), "POST", "/", b"<ListTopicsResponse><ListTopicsResult/></ListTopicsResponse>"),
    ("dynamodb", lambda c: c.list_tables(), "POST", "/", b'{"TableNames": []}'),
    ("lambda", lambda c: c.get_function(FunctionName="a b"), "GET", "/2015-03-31/functions/a%20b", b"{}"),
    (
        "route53",
        lambda c: c.list_hosted_zones(MaxItems="1"),
        "GET",
        "/2013-04-01/hostedzone",
        b"<ListHostedZonesResponse><HostedZones/></ListHostedZonesResponse>",
    ),
]


@pytest.mark.parametrize(("service", "call", "method", "path", "body"), CALLS, ids=lambda one: str(one)[:12])
def test_every_protocol(
    served: Served, behind: Upstream, service: str, call: Callable[[Any], Any], method: str, path: str, body: bytes
) -> None:
    behind.parts = [body]
    call(served.client(service))
    got = behind.received[0]
    assert (got.method, got.path) == (method, path)
    assert got.is_signed_with(SECRET)


def test_errors_and_headers_come_back_as_they_are(served: Served, behind: Upstream) -> None:
    behind.status, behind.headers = 400, [("x-amzn-RequestId", "r-1"), ("content-type", "application/x-amz-json-1.0")]
    behind.parts = [b'{"__type": "com.amazonaws.dynamodb#ResourceNotFoundException", "message": "none"}']
    with pytest.raises(ClientError) as refused:
        served.client("dynamodb").describe_table(TableName="t")
    assert refused.value.response["Error"] == {"Message": "none", "Code": "ResourceNotFoundException"}
    assert refused.value.response["ResponseMetadata"]["RequestId"] == "r-1"


def test_long_answers_are_streamed(served: Served, behind: Upstream) -> None:
    part = bytes(range(256)) * 1024
    behind.parts = [part] * 64  # 16 MiB, whose length nobody announces
    answer = served.client("polly").synthesize_speech(OutputFormat="mp3", Text="x", VoiceId="Amy")
    assert answer["AudioStream"].read() == part * 64
    behind.parts, behind.length = [part], len(part)
    again = served.client("polly").synthesize_speech(OutputFormat="mp3", Text="x", VoiceId="Amy")
    assert again["AudioStream"].read() == part


def test_an_upstream_that_dies_in_the_middle(served: Served, behind: Upstream) -> None:
    """Nobody takes a part for the whole."""
    behind.parts = [b"a" * 300_000, None]
    stream = served.client("polly").synthesize_speech(OutputFormat="mp3", Text="x", VoiceId="Amy")["AudioStream"]
    with pytest.raises((ResponseStreamingError, ConnectionClosedError, ReadTimeoutError)):
        stream.read()
    assert served.client("sts").get_caller_identity()["Account"] == ACCOUNT


def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    running = Served(tmp_path, [room, iam], forwards=(Forward(service="sqs", to="http://127.0.0.1:9"),))
    try:
        code, message = refusal(running.client("sqs").list_queues)
        assert code == "ServiceUnavailable"
        assert message.startswith("sqs is forwarded to http://127.0.0.1:9, which fails: ")
        code, message = refusal(running.client("kinesis").list_streams)
        assert (code, "`dryport up --forward SERVICE=URL`" in message) == ("NotImplemented", True)
    finally:
        running.stop()


def test_policies_decide_first(served: Served, behind: Upstream) -> None:
    behind.parts = [b'{"MessageId": "m"}']
    user = User(served, statement("Allow", "sqs:SendMessage", QUEUE))
    sqs = user.client("sqs")
    sqs.send_message(QueueUrl=URL, MessageBody="x")
    sqs.send_message_batch(QueueUrl=URL, Entries=[{"Id": "1", "MessageBody": "x"}])
    assert refusal(sqs.send_message, QueueUrl=URL + "2", MessageBody="x") == (
        "AccessDeniedException",
        user.not_allowed("sqs:SendMessage", QUEUE + "2"),
    )
    assert refusal(sqs.receive_message, QueueUrl=URL)[1] == user.not_allowed("sqs:ReceiveMessage", QUEUE)
    user.may(statement("Allow", "*"), statement("Deny", "sqs:*", QUEUE))
    assert refusal(sqs.send_message, QueueUrl=URL, MessageBody="x")[1] == user.denied("sqs:SendMessage", QUEUE)
    assert len(behind.received) == 2


def test_what_is_not_known_is_decided_with_caution(served: Served, behind: Upstream) -> None:
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/"
    batch = {"RequestItems": {"mine": {"Keys": [{"k": {"S": "a"}}]}}}
    user = User(served, statement("Allow", "dynamodb:*", table + "mine"))
    dynamodb = user.client("dynamodb")
    dynamodb.get_item(TableName="mine", Key={"k": {"S": "a"}})
    assert "dynamodb:BatchGetItem" in refusal(dynamodb.batch_get_item, **batch)[1]
    user.may(statement("Allow", "dynamodb:*", table + "*"))
    dynamodb.batch_get_item(**batch)
    user.may(statement("Allow", "*"), statement("Deny", "dynamodb:*", table + "theirs"))
    assert "with an explicit deny" in refusal(dynamodb.batch_get_item, **batch)[1]
    leading = {"Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}}
    user.may(statement("Allow", "dynamodb:*", table + "*", **leading))
    assert refusal(dynamodb.get_item, TableName="mine", Key={"k": {"S": "a"}})[0] == "AccessDeniedException"
    user.may(statement("Allow", "*"))
    assert "only the root user may" in refusal(dynamodb.execute_statement, Statement="x")[1]
    served.client("dynamodb").execute_statement(Statement="x")


def test_a_role_has_to_be_passed(served: Served, behind: Upstream) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/worker"
    user = User(served, statement("Allow", "lambda:*"))
    made = user.client("lambda").create_function
    asked = {"FunctionName": "f", "Role": role, "Code": {"ZipFile": b"x"}}
    assert refusal(made, **asked) == ("AccessDeniedException", user.not_allowed("iam:PassRole", role))
    user.may(statement("Allow", ["lambda:*", "iam:PassRole"]))
    made(**asked)


def test_nobody_comes_unsigned(served: Served, behind: Upstream) -> None:
    """Also where AWS asks for no signature: the upstream would be asked in somebody's name."""
    request = urllib.request.Request(
        served.endpoint,
        b"{}",
        {
            "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
            "Content-Type": "application/x-amz-json-1.1",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400
    assert b"MissingAuthenticationTokenException" in refused.value.read()
    assert behind.received == []


def test_a_body_that_was_changed_is_refused(served: Served, behind: Upstream) -> None:
    sqs = served.client("sqs")
    sqs.meta.events.register(
        "before-send.sqs", lambda request, **_: setattr(request, "body", request.body.replace(b"jobs", b"jobz"))
    )
    assert refusal(sqs.send_message, QueueUrl=URL, MessageBody="x")[0] == "InvalidSignatureException"
    assert behind.received == []


def test_presigned_urls_are_refused_by_name(served: Served, behind: Upstream) -> None:
    url = served.client("polly").generate_presigned_url(
        "synthesize_speech", Params={"OutputFormat": "mp3", "Text": "x", "VoiceId": "Amy"}, HttpMethod="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, b"", method="POST"))
    assert refused.value.code == 501
    assert behind.received == []


def test_the_account_of_calls_has_them(served: Served, behind: Upstream) -> None:
    from tests.platform.support import eventually

    behind.parts = [b'{"QueueUrl": "u"}']
    served.client("sqs").create_queue(QueueName="jobs")
    trail = served.client("cloudtrail")

    def found() -> bool:
        events = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateQueue"}])
        return bool(events["Events"])

    eventually(found)
    event = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateQueue"}])
    body = json.loads(event["Events"][0]["CloudTrailEvent"])
    assert (body["eventSource"], body["requestParameters"]) == ("sqs.amazonaws.com", {"queueName": "jobs"})
    assert SECRET not in json.dumps(body)
