"""Access logs in buckets of this Dryport, as users have them; what comes in five minutes: ``tests/elb``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import eventually
from tests.ports import free_port
from tests.served import refusal

pytestmark = pytest.mark.platform


def test_a_bucket_gets_a_file_once_its_policy_lets_it(platform: Platform) -> None:
    """The test file at once; each request is noted while every process of Dryport's but HAProxy is dead."""
    elb, s3, ec2 = platform.client("elbv2"), platform.client("s3"), platform.client("ec2")
    subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda each: str(each["AvailabilityZone"]))[:2]
    group = ec2.create_security_group(GroupName="logged", Description="-", VpcId=subnets[0]["VpcId"])["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=everything)
    made = elb.create_load_balancer(
        Name="logged", Subnets=[each["SubnetId"] for each in subnets], SecurityGroups=[group]
    )["LoadBalancers"][0]
    arn, port = made["LoadBalancerArn"], free_port()
    answer = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418"}}]
    elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=answer)
    s3.create_bucket(Bucket="access-logs")
    wanted = {"enabled": "true", "bucket": "access-logs", "prefix": "web"}
    attributes = [{"Key": f"access_logs.s3.{name}", "Value": value} for name, value in wanted.items()]
    assert refusal(elb.modify_load_balancer_attributes, LoadBalancerArn=arn, Attributes=attributes) == (
        "InvalidConfigurationRequest", "Access Denied for bucket: access-logs. Please check S3bucket permission"
    )  # fmt: skip
    allowed = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::127311923021:root"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::access-logs/web/AWSLogs/000000000000/*",
    }
    s3.put_bucket_policy(
        Bucket="access-logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    )  # fmt: skip
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)

    def keys() -> list[str]:
        return [each["Key"] for each in s3.list_objects_v2(Bucket="access-logs").get("Contents", [])]

    test_file = "web/AWSLogs/000000000000/ELBAccessLogTestFile"
    eventually(lambda: test_file in keys(), 20)
    said = s3.get_object(Bucket="access-logs", Key=test_file)["Body"].read()
    assert said.startswith(b"Enable AccessLog for ELB: logged at ")

    url = f"http://{made['DNSName']}:{port}/noted"
    eventually(lambda: _status(url) == "418", 20)
    log = _log(platform, arn)
    before = log.read_text().count("/noted")
    for process in ("control", "host"):
        os.kill(platform.pid(process), signal.SIGKILL)
    assert _status(url) == "418"
    eventually(lambda: log.read_text().count("/noted") > before, 5)
    eventually(lambda: _answers(s3), 60)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    eventually(lambda: not _interfaces(ec2, group), 30)
    ec2.delete_security_group(GroupId=group)


def _status(url: str) -> str:
    asked = ["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url]
    return subprocess.run(asked, capture_output=True, text=True).stdout


def _log(platform: Platform, arn: str) -> Any:
    from dryport.elb.driver import balancer_id

    return platform.config.balancer_dir / balancer_id(arn) / "requests.log"


def _answers(s3: Any) -> bool:
    try:
        return bool(s3.list_buckets())
    except Exception:
        return False


def _interfaces(ec2: Any, group: str) -> list[Any]:
    found = ec2.describe_network_interfaces()["NetworkInterfaces"]
    return [each for each in found if group in [one["GroupId"] for one in each["Groups"]]]
