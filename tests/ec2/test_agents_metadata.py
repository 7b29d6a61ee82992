"""What AWS's agent was recorded to ask the metadata service is answered to an instance of EC2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dryport.host.messages import Metadata
from dryport.host.metadata.service import Question, reply
from dryport.host.metadata.tokens import Tokens
from tests.ec2.machine import Machine
from tests.ec2.volumes import Volumes, eventually

TRANSCRIPT = Path(__file__).parents[1] / "ecs/control/transcript.jsonl"
RECORDED = [record for record in map(json.loads, TRANSCRIPT.read_text().splitlines()) if record["kind"] == "imds"]
RECORDED_MAC = "02:00:00:00:00:01"
TOKENS, NOW = Tokens(b"k" * 32), 1_700_000_000.0


@pytest.fixture(scope="module")
def described(volumes: Volumes) -> dict[str, Any]:
    return volumes.describe_instance(volumes.instance())


@pytest.fixture(scope="module")
def known(machine: Machine, described: dict[str, Any]) -> Metadata:
    """What the host driver was given to tell the instance."""

    def told() -> Metadata | None:
        return machine.metadata.get(described["VpcId"], {}).get(described["InstanceId"])

    found = eventually(told)
    assert found is not None
    return found


def test_every_recorded_question_is_answered(known: Metadata, described: dict[str, Any]) -> None:
    interface = described["NetworkInterfaces"][0]
    here = f"meta-data/network/interfaces/macs/{interface['MacAddress']}"
    expected = {
        "meta-data/instance-id": described["InstanceId"],
        "meta-data/mac": interface["MacAddress"],
        f"{here}/vpc-id": described["VpcId"],
        f"{here}/subnet-id": described["SubnetId"],
        "meta-data/placement/availability-zone-id": described["Placement"]["AvailabilityZoneId"],
    }
    token = ""
    asked = set()
    for record in RECORDED:
        path = record["path"].replace(RECORDED_MAC, interface["MacAddress"])
        ttl = {"x-aws-ec2-metadata-token-ttl-seconds": "21600"} if path == "api/token" else {}
        held = {"x-aws-ec2-metadata-token": token} if token else {}
        question = Question(record["method"], f"/latest/{path}", {**ttl, **held})
        answer = reply(question, described["InstanceId"], known, TOKENS, NOW)
        asked.add(path)
        if path == "api/token":
            token = answer.body.decode()
        if path in ("meta-data/outpost-arn", "user-data"):
            assert answer.status == 404  # no outpost; no user data
            continue
        assert answer.status == 200 and answer.body, path
        assert answer.body.decode() == expected.get(path, answer.body.decode())
    assert len(asked) == 10 and expected.keys() <= asked
    document = json.loads(known.tree["dynamic/instance-identity/document"])
    assert (document["instanceId"], document["region"]) == (described["InstanceId"], "us-east-1")
