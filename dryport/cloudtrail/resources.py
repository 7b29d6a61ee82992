"""Which resources a call was about: what its input names, as authorization finds it. Pure.

Types are called as CloudFormation's (``AWS::ECS::Cluster``), names are the last part of an ARN.
"""

from __future__ import annotations

from typing import NamedTuple

from dryport.aws import arn
from dryport.cloudtrail.events import Record
from dryport.iam.authorization import Scope, required

# botocore's names of services whose signatures name them otherwise.
_SERVICES = {"elasticfilesystem": "efs", "elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
# How types' names write a service, where that is not its name in capitals.
_TYPES = {
    "elasticfilesystem": "EFS",
    "elasticloadbalancing": "ElasticLoadBalancingV2",
    "secretsmanager": "SecretsManager",
    "servicediscovery": "ServiceDiscovery",
    "acm": "CertificateManager",
    "cloudwatch": "CloudWatch",
    "logs": "Logs",
}
_KINDS = {"loadbalancer": "LoadBalancer", "targetgroup": "TargetGroup", "vpc": "VPC", "oidc-provider": "OIDCProvider"}


class Named(NamedTuple):
    """A resource: its type and its name."""

    type: str
    name: str


def of(record: Record) -> list[Named]:
    """The resources that a call named, each once."""
    service = _SERVICES.get(record.source, record.source)
    if not isinstance(record.given, dict):
        return []
    try:
        needed = required(service, record.operation, record.given, Scope(record.region, record.principal.account))
    except (KeyError, FileNotFoundError):  # a service that is forwarded, an action that is no operation
        return []
    listed = [one.arn for each in needed for one in each.resources if one.exact]
    return list(dict.fromkeys(found for text in listed if (found := _named(text)) is not None))


def _named(text: str) -> Named | None:
    parts = arn.parse(text)
    if parts is None or "*" in parts.resource:
        return None
    service = _TYPES.get(parts.service, parts.service.upper())
    if parts.service == "s3":
        bucket, slash, _ = parts.resource.partition("/")
        return Named("AWS::S3::Object", text) if slash else Named("AWS::S3::Bucket", bucket)
    kind, colon, name = parts.resource.partition(":" if parts.service in ("secretsmanager", "logs") else "/")
    if not colon or not name:
        return None
    name = name.partition(":log-stream:")[0] if parts.service == "logs" else name.rpartition("/")[2]
    words = _KINDS.get(kind) or "".join(word.capitalize() for word in kind.split("-"))
    return Named(f"AWS::{service}::{words}", name)
