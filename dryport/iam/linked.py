"""Service-linked roles: stored as others are, made when a service first needs one, changed by nobody.

Source: "AWS services that work with IAM", "Create a service-linked role", IAM user guide; the services' own guides.
"""

from __future__ import annotations

import json
from random import Random
from typing import NamedTuple

from dryport.iam.credentials import unique_id
from dryport.iam.model import IDENTITIES, Identity, identity_key
from dryport.store import Transaction

PATH = "/aws-service-role/"


class Template(NamedTuple):
    """What AWS's role of a service is called, and its managed policy."""

    name: str
    policy: str
    suffix: bool = False  # whether there may be further ones


TEMPLATES = {
    "ecs.amazonaws.com": Template("ECS", "AmazonECSServiceRolePolicy"),
    "ecs-compute.amazonaws.com": Template("ECSCompute", "AmazonECSComputeServiceRolePolicy"),
    "elasticloadbalancing.amazonaws.com": Template("ElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"),
    "ecs.application-autoscaling.amazonaws.com": Template(
        "ApplicationAutoScaling_ECSService", "AWSApplicationAutoscalingECSServicePolicy"
    ),
    "autoscaling.amazonaws.com": Template("AutoScaling", "AutoScalingServiceRolePolicy", True),
    "spot.amazonaws.com": Template("EC2Spot", "AWSEC2SpotServiceRolePolicy"),
    "ec2fleet.amazonaws.com": Template("EC2Fleet", "AWSEC2FleetServiceRolePolicy"),
    "ssm.amazonaws.com": Template("AmazonSSM", "AmazonSSMServiceRolePolicy"),
    "elasticfilesystem.amazonaws.com": Template("AmazonElasticFileSystem", "AmazonElasticFileSystemServiceRolePolicy"),
    "replication.ecr.amazonaws.com": Template("ECRReplication", "ECRReplicationServiceRolePolicy"),
}


def role_name(service: str, suffix: str = "") -> str:
    """The name of a service's role."""
    return f"AWSServiceRoleFor{TEMPLATES[service].name}" + (f"_{suffix}" if suffix else "")


def make(
    tx: Transaction,
    random: Random,
    *,
    service: str,
    account: str,
    now: float,
    partition: str = "aws",
    suffix: str = "",
    description: str | None = None,
) -> Identity:
    """Make a service's role, which must not be there."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    made = Identity(
        kind="role",
        account=account,
        partition=partition,
        name=role_name(service, suffix),
        path=f"{PATH}{service}/",
        id=unique_id(random, "AROA"),
        created=now,
        attached=(f"arn:{partition}:iam::aws:policy{PATH}{TEMPLATES[service].policy}",),
        trust=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        description=description,
    )
    tx.put(IDENTITIES, made)
    return made


def ensure(tx: Transaction, random: Random, service: str, account: str, now: float) -> None:
    """Have a service's role be there, as services do when they first act for an account."""
    if tx.get(IDENTITIES, identity_key(account, "role", role_name(service))) is None:
        make(tx, random, service=service, account=account, now=now)


def is_linked(role: Identity) -> bool:
    """Whether a role is a service's own."""
    return role.path.startswith(PATH)
