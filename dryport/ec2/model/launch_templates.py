"""Launch templates and their versions."""

from __future__ import annotations

from typing import Any

from dryport.ec2.model.base import Record, Resource, scope, scope_of, token
from dryport.store import Table


class LaunchTemplate(Resource, frozen=True, kw_only=True):
    """A launch template; ``last_version`` is the highest number that was ever given."""

    name: str
    created_at: float
    created_by: str  # ARN
    default_version: int = 1
    last_version: int = 1
    client_token: str = ""


class LaunchTemplateVersion(Record, frozen=True, kw_only=True):
    """A version; ``data`` is its ``LaunchTemplateData``, as it was given."""

    template_id: str
    number: int
    created_at: float
    created_by: str  # ARN
    data: dict[str, Any]
    description: str = ""
    client_token: str = ""


def version_key(template_id: str, number: int) -> str:
    """The key of a version."""
    return f"{template_id}/{number}"


LAUNCH_TEMPLATES = Table(
    "ec2.launch_template",
    LaunchTemplate,
    key=lambda t: t.id,
    indexes={
        "scope": scope_of,
        "name": lambda t: f"{scope(t.account, t.region)}/{t.name}",
        "token": lambda t: token(t.account, t.region, t.client_token),
    },
)
LAUNCH_TEMPLATE_VERSIONS = Table(
    "ec2.launch_template_version",
    LaunchTemplateVersion,
    key=lambda v: version_key(v.template_id, v.number),
    indexes={
        "template": lambda v: v.template_id,
        "token": lambda v: f"{v.template_id}/{v.client_token}" if v.client_token else None,
    },
)
