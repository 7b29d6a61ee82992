"""Several accounts in one Dryport: made by command, apart from each other, joined where roles say so."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dryport.platform import credentials
from tests.conftest import DRYPORT, Platform
from tests.platform.roles import make_roles
from tests.platform.support import LOG_GROUP, Tasks, eventually, push
from tests.served import refusal

pytestmark = pytest.mark.platform


class Account(Platform):
    """Another account of a running platform, used by its root user's key."""

    def __init__(self, platform: Platform, name: str) -> None:
        super().__init__(platform.state_dir)
        self.port = platform.port
        self.name = name
        self.id = str(self.client("sts").get_caller_identity()["Account"])

    @property
    def key(self) -> credentials.KeyFile:
        return credentials.read(credentials.account_key_path(self.state_dir, self.name))

    def client(self, service: str, region: str = "us-east-1", **options: Any) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key.access_key_id,
            aws_secret_access_key=self.key.secret_access_key,
        )

    def aws_environment(self) -> dict[str, str]:
        key = {"AWS_ACCESS_KEY_ID": self.key.access_key_id, "AWS_SECRET_ACCESS_KEY": self.key.secret_access_key}
        return super().aws_environment() | key


def command(platform: Platform, *arguments: str, check: bool = True) -> str:
    """What ``dryport account`` prints; with its errors where it need not succeed."""
    environment = {**os.environ, "DRYPORT_STATE_DIR": str(platform.state_dir)}
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.pop(name, None)
    done = subprocess.run([*DRYPORT, "account", *arguments], capture_output=True, text=True, env=environment)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout if check else done.stdout + done.stderr


@pytest.fixture(scope="module")
def other(platform: Platform) -> Account:
    command(platform, "create", "other")
    made = Account(platform, "other")
    make_roles(made.client("iam"))
    return made


def modes(directory: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in directory.iterdir()}


def test_an_account_is_made_listed_and_made_once(platform: Platform, other: Account) -> None:
    listed = command(platform, "list")
    assert "000000000000" in listed and other.id in listed and "other" in listed
    assert modes(platform.state_dir / "accounts") == {0o600}
    assert "There is an account other already" in command(platform, "create", "other", check=False)
    assert "no account" in command(platform, "rotate", "123456789012", check=False)
    shown = platform.dryport("env", "--account", "other").stdout
    assert other.key.access_key_id in shown and f"localhost:{platform.port}" in shown


def test_another_account_runs_tasks_of_its_own_images(other: Account, busybox: str, tasks: Tasks) -> None:
    """A whole account: registry, network, roles, tasks and logs, none of which the first account sees."""
    image = push(other, busybox, "mine")
    assert image.startswith(f"{other.id}.dkr.ecr.us-east-1.localhost:")
    theirs = Tasks(other, image)
    definition = theirs.ecs.register_task_definition(
        family="mine",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        executionRoleArn=f"arn:aws:iam::{other.id}:role/ecsTaskExecutionRole",
        containerDefinitions=[theirs.container("echo it is $AWS_REGION; sleep 600")],
    )["taskDefinition"]["taskDefinitionArn"]
    (task,) = theirs.run(definition)
    theirs.until(task, "RUNNING")
    logs = other.client("logs")
    lines = eventually(lambda: _lines(logs))
    assert lines == ["it is us-east-1"]
    assert tasks.ecs.describe_tasks(tasks=[task])["failures"][0]["reason"] == "MISSING"
    assert task not in tasks.ecs.list_tasks()["taskArns"]
    theirs.ecs.stop_task(task=task)
    theirs.until(task, "STOPPED")


def _lines(logs: Any) -> list[str]:
    try:
        return [each["message"] for each in logs.filter_log_events(logGroupName=LOG_GROUP)["events"]]
    except ClientError:
        return []


def test_accounts_do_not_see_each_other(platform: Platform, other: Account) -> None:
    """What the one has by name the other has not, and cannot reach by ARN or id."""
    theirs, ours = other.client, platform.client
    theirs("ssm").put_parameter(Name="/only/theirs", Type="String", Value="v")
    secret = theirs("secretsmanager").create_secret(Name="only-theirs", SecretString="s")["ARN"]
    theirs("s3").create_bucket(Bucket="only-theirs")
    theirs("ecr").create_repository(repositoryName="only-theirs")
    theirs("iam").create_user(UserName="only-theirs")
    theirs("logs").create_log_group(logGroupName="only-theirs")
    cluster = theirs("ecs").create_cluster(clusterName="only-theirs")["cluster"]["clusterArn"]
    vpc = theirs("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    system = theirs("efs").create_file_system(CreationToken="t")["FileSystemId"]
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("ParameterNotFound", lambda: ours("ssm").get_parameter(Name="/only/theirs")),
        ("", lambda: ours("secretsmanager").get_secret_value(SecretId=secret)),
        ("AccessDenied", lambda: ours("s3").list_objects_v2(Bucket="only-theirs")),
        ("RepositoryNotFoundException", lambda: ours("ecr").list_images(repositoryName="only-theirs")),
        ("NoSuchEntity", lambda: ours("iam").get_user(UserName="only-theirs")),
        ("ResourceNotFoundException", lambda: ours("logs").describe_log_streams(logGroupName="only-theirs")),
        ("InvalidVpcID.NotFound", lambda: ours("ec2").describe_vpcs(VpcIds=[vpc])),
        ("FileSystemNotFound", lambda: ours("efs").describe_file_systems(FileSystemId=system)),
    ]
    for code, call in calls:
        with pytest.raises(ClientError) as refused:
            call()
        assert code in refused.value.response["Error"]["Code"], code
    assert ours("ecs").describe_clusters(clusters=[cluster])["clusters"] == []
    assert cluster not in ours("ecs").list_clusters()["clusterArns"]
    assert "only-theirs" not in [each["Name"] for each in ours("s3").list_buckets()["Buckets"]]


def test_a_role_lets_another_account_in(platform: Platform, other: Account) -> None:
    """Both accounts have to allow it: the role's trust policy, and the user's own policies."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}}
    role = other.client("iam").create_role(
        RoleName="guests", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    read_only = "arn:aws:iam::aws:policy/AmazonECS_FullAccess"
    other.client("iam").attach_role_policy(RoleName="guests", PolicyArn=read_only)
    other.client("ecs").create_cluster(clusterName="shown")
    iam = platform.client("iam")
    iam.create_user(UserName="guest")
    key = iam.create_access_key(UserName="guest")["AccessKey"]
    guest = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
    sts = guest.client("sts", endpoint_url=platform.endpoint)
    assert refusal(lambda: sts.assume_role(RoleArn=role, RoleSessionName="guest"))[0] == "AccessDenied"
    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="guest", PolicyName="in", PolicyDocument=document)
    given = sts.assume_role(RoleArn=role, RoleSessionName="guest")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], "us-east-1")
    clusters = session.client("ecs", endpoint_url=platform.endpoint).list_clusters()["clusterArns"]
    assert f"arn:aws:ecs:us-east-1:{other.id}:cluster/shown" in clusters
    iam.delete_user_policy(UserName="guest", PolicyName="in")
    iam.delete_access_key(UserName="guest", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="guest")


def test_only_the_first_account_makes_others(platform: Platform, other: Account) -> None:
    own = other.client("dryport")
    assert refusal(lambda: own.create_account(name="third"))[0] == "AccessDeniedException"
    assert refusal(own.list_accounts)[0] == "AccessDeniedException"


def test_a_rotated_key_is_refused(platform: Platform, other: Account) -> None:
    old = other.client("sts")
    command(platform, "rotate", "other")
    assert refusal(old.get_caller_identity)[0] == "InvalidClientTokenId"
    assert other.client("sts").get_caller_identity()["Account"] == other.id
