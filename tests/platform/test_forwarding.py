"""Forwarding in a whole platform: moto beside it, a task's role in front of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.conftest import Platform, make_platform
from tests.iam.accounts import statement
from tests.platform.support import LOG_GROUP, Tasks, eventually, push
from tests.platform.test_roles import Role
from tests.served import refusal

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    for made in make_platform():
        made.down()
        made.up("--forward", "sqs=moto", "--forward", "dynamodb=moto")
        yield made


@pytest.fixture(scope="module")
def tasks(platform: Platform, busybox: str) -> Tasks:
    platform.client("logs").create_log_group(logGroupName=LOG_GROUP)
    return Tasks(platform, push(platform, busybox, "tests/forwarding"))


def test_moto_answers_behind_dryport(platform: Platform) -> None:
    sqs, dynamodb = platform.client("sqs"), platform.client("dynamodb")
    url = sqs.create_queue(QueueName="by-hand")["QueueUrl"]  # moto may still be starting: the request waits for it
    assert url == f"{platform.endpoint}/000000000000/by-hand"  # through Dryport again, also for clients that follow it
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
    assert platform.cli("sqs", "list-queues", "--endpoint-url", platform.endpoint)["QueueUrls"] == [url]
    assert dynamodb.list_tables()["TableNames"] == []
    shown = platform.dryport("status").stdout
    assert "forward  sqs to moto" in shown
    assert "moto" in [line.split()[0] for line in shown.splitlines() if line.strip()]


def test_a_task_reaches_what_its_role_allows(tasks: Tasks, platform: Platform) -> None:
    """With the credentials that the task has, at the endpoint that it has."""
    worker = Role(platform, "forwardWorker")
    worker.may(statement("Allow", "sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:by-task"))
    root = platform.client("sqs")
    url = root.create_queue(QueueName="by-task")["QueueUrl"]
    script = "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo; sleep 600"
    arn = tasks.run(tasks.define(tasks.container(script)), overrides={"taskRoleArn": worker.arn})[0]
    eventually(lambda: len(tasks.output(arn)) > 0)
    key = json.loads(tasks.output(arn)[0])
    sqs = boto3.client(
        "sqs",
        "us-east-1",
        endpoint_url=platform.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["Token"],
    )
    sqs.send_message(QueueUrl=url, MessageBody="from a task")
    assert root.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "from a task"
    code, message = refusal(sqs.receive_message, QueueUrl=url)
    session = f"arn:aws:sts::000000000000:assumed-role/forwardWorker/{arn.rpartition('/')[2]}"
    assert code == "AccessDeniedException"
    assert message.startswith(f"User: {session} is not authorized to perform: sqs:ReceiveMessage on resource: ")
    tasks.stop(arn)
    worker.delete()


def test_moto_killed_comes_back(platform: Platform) -> None:
    pid = platform.pid("moto")
    os.kill(pid, 9)

    def back() -> bool:
        try:
            return "QueueUrls" not in platform.client("sqs").list_queues()
        except platform.client("sqs").exceptions.ClientError:
            return False

    assert eventually(back) and platform.pid("moto") != pid


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("ecs=moto", "ecs is served by Dryport itself"),
        ("nosuch=moto", "nosuch is no service of AWS's"),
        ("sqs", "is not SERVICE=URL"),
        ("sqs=ftp://x", "is neither a URL"),
        ("sqs=http://a:b@x", "a URL holds no credentials"),
    ],
)
def test_what_cannot_be_forwarded_is_said_at_once(platform: Platform, asked: str, said: str) -> None:
    done = platform.dryport("up", "--forward", asked, check=False)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_a_file_of_keys_that_others_may_read_is_refused(platform: Platform, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = sesame-of-the-tests\n")
    keys.chmod(0o644)
    done = platform.dryport("up", "--forward", "sqs=aws", "--forward-credentials", str(keys), check=False)
    assert done.returncode == 2
    assert "chmod 600" in " ".join(done.stderr.split())
    assert "sesame" not in done.stderr
