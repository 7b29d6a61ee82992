"""Functions of Lambda's that the platform itself invokes, in a role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dryport.control.config import Forward
from dryport.forwarding.published import Functions, InvocationFailed
from dryport.forwarding.room import room
from dryport.iam.room import room as iam
from tests.forwarding.upstreams import Upstream, upstream
from tests.iam.accounts import ACCOUNT, document, statement, trust
from tests.served import Served

FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:hook"
ECS = "ecs.amazonaws.com"


@pytest.fixture
def behind() -> Iterator[Upstream]:
    with upstream() as known:
        yield known


@pytest.fixture
def served(tmp_path: Path, behind: Upstream) -> Iterator[Served]:
    running = Served(tmp_path, [room, iam], forwards=(Forward(service="lambda", to=behind.url + "/base"),))
    yield running
    running.stop()


def invoke(served: Served, role: str) -> bytes:
    async def work() -> bytes:
        functions = Functions(served.context)
        try:
            return await functions.invoke(role, FUNCTION, b'{"a": 1}', "hooks", ECS)
        finally:
            await functions.close()

    return served.run(work())


def test_a_function_is_invoked_in_a_role(served: Served, behind: Upstream) -> None:
    client = served.client("iam")
    role = client.create_role(RoleName="hooks", AssumeRolePolicyDocument=trust("ecs"))["Role"]["Arn"]
    with pytest.raises(InvocationFailed, match=r"assumed-role/hooks/hooks is not authorized to perform: lambda:Invoke"):
        invoke(served, role)
    may = document(statement("Allow", "lambda:InvokeFunction", FUNCTION))
    client.put_role_policy(RoleName="hooks", PolicyName="may", PolicyDocument=may)
    behind.parts = [b'{"hookStatus": "SUCCEEDED"}']
    assert invoke(served, role) == b'{"hookStatus": "SUCCEEDED"}'
    got = behind.received[0]
    assert got.path == f"/base/2015-03-31/functions/{FUNCTION.replace(':', '%3A')}/invocations"
    assert (got.body, got.headers["x-amz-invocation-type"]) == (b'{"a": 1}', "RequestResponse")
    behind.headers = [("X-Amz-Function-Error", "Unhandled")]
    with pytest.raises(InvocationFailed, match="Unhandled"):
        invoke(served, role)


def test_a_role_that_does_not_trust(served: Served, behind: Upstream) -> None:
    role = served.client("iam").create_role(RoleName="ec2s", AssumeRolePolicyDocument=trust("ec2"))["Role"]["Arn"]
    for arn in (role, role + "-none"):
        with pytest.raises(InvocationFailed, match="does not trust"):
            invoke(served, arn)
    assert behind.received == []
