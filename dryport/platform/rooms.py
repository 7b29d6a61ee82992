"""Which services there are. A new service is one more line here."""

from __future__ import annotations

from dryport.acm.room import room as acm
from dryport.cloudtrail.room import room as cloudtrail
from dryport.cloudwatch.room import room as cloudwatch
from dryport.control.context import Context, Room, RoomMaker
from dryport.ec2.room import room as ec2
from dryport.ecr.room import room as ecr
from dryport.ecs.room import room as ecs
from dryport.efs.room import room as efs
from dryport.elb.room import room as elb
from dryport.forwarding.room import room as forwarding
from dryport.iam.room import room as iam
from dryport.logs.room import room as logs
from dryport.s3.room import room as s3
from dryport.secretsmanager.room import room as secretsmanager
from dryport.servicediscovery.room import room as servicediscovery
from dryport.ssm.room import room as ssm
from dryport.sts.room import room as sts

ROOMS: tuple[RoomMaker, ...] = (
    acm,
    cloudtrail,
    cloudwatch,
    ec2,
    ecr,
    ecs,
    efs,
    elb,
    forwarding,
    iam,
    logs,
    s3,
    secretsmanager,
    servicediscovery,
    ssm,
    sts,
)


def furnish(context: Context) -> list[Room]:
    """Every room, made."""
    return [make(context) for make in ROOMS]
