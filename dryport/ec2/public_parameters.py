"""The public parameters that EC2 and ECS offer in Parameter Store: machine images, regions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dryport.aws.arn import partition_of
from dryport.ec2 import public_images, regions
from dryport.ssm.published import PublicParameter, register_public
from dryport.store import Reader

_PACKAGES = Path("/var/lib/dpkg/status")
_REGIONS = "/aws/service/global-infrastructure/regions"


def register() -> None:
    """Offer them."""
    for prefix in ("ecs", "ami-amazon-linux-latest", "debian", "canonical"):
        register_public(f"/aws/service/{prefix}/", _images)
    register_public(_REGIONS, _region_names)


def _images(reader: Reader, region: str) -> Iterator[PublicParameter]:
    for name, value in public_images.parameters(region, docker_version(_PACKAGES)):
        data_type = "aws:ec2:image" if value.startswith("ami-") and "/ecs/" not in name else "text"
        yield PublicParameter(name, value, modified_at=public_images.MADE, data_type=data_type)


def _region_names(reader: Reader, region: str) -> Iterator[PublicParameter]:
    for each in regions.regions(region):
        name = each["RegionName"]
        yield PublicParameter(f"{_REGIONS}/{name}", name)
        yield PublicParameter(f"{_REGIONS}/{name}/partition", partition_of(name))
        yield PublicParameter(f"{_REGIONS}/{name}/domain", each["Endpoint"].partition(f"{name}.")[2])


@lru_cache(maxsize=1)
def docker_version(packages: Path) -> str:
    """The version of the Docker Engine that is installed here, by dpkg's list of packages; "unknown" without it."""
    try:
        text = packages.read_text(errors="replace")
    except OSError:
        return "unknown"
    for name in ("docker.io", "docker-ce"):
        _, found, paragraph = text.partition(f"Package: {name}\n")
        fields = dict(line.split(": ", 1) for line in paragraph.partition("\n\n")[0].splitlines() if ": " in line)
        if found and "Version" in fields:
            return re.split(r"[+~-]", fields["Version"].rpartition(":")[2])[0]
    return "unknown"
