"""Users of a served platform, for the tests of what they may do."""

from __future__ import annotations

import itertools
import json
from typing import Any

import boto3
from botocore.config import Config

from tests.served import Served

ACCOUNT = "000000000000"
_numbers = itertools.count(1)


def statement(effect: str, action: str | list[str], resource: str | list[str] = "*", /, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(service: str) -> str:
    """A trust policy for a service of AWS's."""
    return document_of({"Principal": {"Service": f"{service}.amazonaws.com"}})


def document_of(who: dict[str, Any], **more: Any) -> str:
    """A trust policy for whom ``who`` names."""
    body = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], **who, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [body]})


class User:
    """A user with a key, and clients that sign with it."""

    def __init__(self, served: Served, *statements: dict[str, Any], **options: Any) -> None:
        self.served = served
        self.iam = served.client("iam")
        self.name = f"user-{next(_numbers)}"
        self.arn = self.iam.create_user(UserName=self.name, **options)["User"]["Arn"]
        self.key = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        if statements:
            self.may(*statements)

    def may(self, *statements: dict[str, Any]) -> None:
        """Have exactly these statements."""
        self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document(*statements))

    def client(self, service: str, region: str = "us-east-1") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.served.endpoint,
            region_name=region,
            aws_access_key_id=self.key["AccessKeyId"],
            aws_secret_access_key=self.key["SecretAccessKey"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def not_allowed(self, action: str, resource: str) -> str:
        """AWS's message for what no policy of the user allows."""
        on = f" on resource: {resource}" if resource != "*" else ""
        return (
            f"User: {self.arn} is not authorized to perform: {action}{on} "
            f"because no identity-based policy allows the {action} action"
        )

    def denied(self, action: str, resource: str) -> str:
        """AWS's message for what a policy of the user denies."""
        on = f" on resource: {resource}" if resource != "*" else ""
        return (
            f"User: {self.arn} is not authorized to perform: {action}{on} "
            "with an explicit deny in an identity-based policy"
        )
