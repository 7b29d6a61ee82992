"""The machine images that everybody may launch, in every region, and the SSM parameters that name them. Pure.

They have the names that AWS's have, so that what looks images up finds one; their descriptions say what they are: a
Linux host over this machine's own system, with or without Docker and the container agent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from dryport.ec2 import instance_types
from dryport.ec2.model import BlockDevice, Image

DATE = "20261101"
MADE = 1793577599.0  # the last second of that day, since the epoch
AGENT_VERSION = "1.105.1"  # of the container agent in the ecs images
_ECS, _AMAZON, _DEBIAN, _CANONICAL = "591542846629", "137112412989", "136693071363", "099720109477"
_ECS_PATH = "/aws/service/ecs/optimized-ami/"
_LINUX_PATH = "/aws/service/ami-amazon-linux-latest/"
_UBUNTU_PATH = "/aws/service/canonical/ubuntu/server/"
_DEB = {"x86_64": "amd64", "arm64": "arm64"}  # Debian's names of architectures


class _Kind(NamedTuple):
    """An image of every architecture; ``{arch}``, ``{deb}`` and ``{date}`` are put into its names.

    ``{arch/}`` in a parameter's name is ``arm64/`` or nothing.
    """

    name: str
    owner: str
    parameters: tuple[str, ...]
    system: str
    base: str = "plain"
    root: str = "/dev/xvda"
    gib: int = 8
    volume_type: str = "gp3"
    modern: bool = True  # uefi-preferred, IMDSv2 required
    version: str = ""
    source: str = ""
    only: str = ""  # an architecture


def _ecs(name: str, path: str, number: str, source: str, *, only: str = "") -> _Kind:
    modern = number == "2023"
    return _Kind(
        name,
        _ECS,
        (f"{_ECS_PATH}amazon-linux-{number}/{path}recommended",),
        f"Amazon Linux {number}",
        base="ecs",
        gib=30,
        volume_type="gp3" if modern else "gp2",
        modern=modern,
        version=("2023.0." if modern else "2.0.") + "{date}",
        source=source,
        only=only,
    )


_MINIMAL_2 = "amzn2-ami-minimal-hvm-2.0.{date}.0-{arch}-ebs"
_MINIMAL_2023 = "al2023-ami-minimal-2023.12.{date}.0-kernel-6.1-{arch}"
_KINDS = (
    _ecs("al2023-ami-ecs-hvm-2023.0.{date}-kernel-6.1-{arch}", "{arch/}", "2023", _MINIMAL_2023),
    _ecs("al2023-ami-ecs-gpu-hvm-2023.0.{date}-kernel-6.1-{arch}-ebs", "gpu/", "2023", _MINIMAL_2023, only="x86_64"),
    _ecs("amzn2-ami-ecs-hvm-2.0.{date}-{arch}-ebs", "{arch/}", "2", _MINIMAL_2),
    _ecs("amzn2-ami-ecs-kernel-5.10-hvm-2.0.{date}-{arch}-ebs", "kernel-5.10/{arch/}", "2", _MINIMAL_2),
    _ecs("amzn2-ami-ecs-gpu-hvm-2.0.{date}-{arch}-ebs", "gpu/", "2", _MINIMAL_2, only="x86_64"),
    _ecs("amzn2-ami-ecs-kernel-5.10-gpu-hvm-2.0.{date}-{arch}-ebs", "kernel-5.10/gpu/", "2", _MINIMAL_2, only="x86_64"),
    _Kind(
        "al2023-ami-2023.12.{date}.0-kernel-6.1-{arch}",
        _AMAZON,
        (_LINUX_PATH + "al2023-ami-kernel-6.1-{arch}", _LINUX_PATH + "al2023-ami-kernel-default-{arch}"),
        "Amazon Linux 2023",
    ),
    _Kind(
        "al2023-ami-2023.12.{date}.0-kernel-6.12-{arch}",
        _AMAZON,
        (_LINUX_PATH + "al2023-ami-kernel-6.12-{arch}",),
        "Amazon Linux 2023",
    ),
    _Kind(
        _MINIMAL_2023,
        _AMAZON,
        (
            _LINUX_PATH + "al2023-ami-minimal-kernel-6.1-{arch}",
            _LINUX_PATH + "al2023-ami-minimal-kernel-default-{arch}",
        ),
        "Amazon Linux 2023",
        gib=2,
    ),
    _Kind(
        "amzn2-ami-hvm-2.0.{date}.0-{arch}-gp2",
        _AMAZON,
        (_LINUX_PATH + "amzn2-ami-hvm-{arch}-gp2",),
        "Amazon Linux 2",
        volume_type="gp2",
        modern=False,
    ),
    _Kind(
        "amzn2-ami-hvm-2.0.{date}.0-{arch}-ebs",
        _AMAZON,
        (_LINUX_PATH + "amzn2-ami-hvm-{arch}-ebs",),
        "Amazon Linux 2",
        volume_type="standard",
        modern=False,
        only="x86_64",
    ),
    _Kind(
        "amzn2-ami-kernel-5.10-hvm-2.0.{date}.0-{arch}-gp2",
        _AMAZON,
        (
            _LINUX_PATH + "amzn2-ami-kernel-5.10-hvm-{arch}-gp2",
            _LINUX_PATH + "amzn2-ami-kernel-default-hvm-{arch}-gp2",
        ),
        "Amazon Linux 2",
        volume_type="gp2",
        modern=False,
    ),
    _Kind(
        _MINIMAL_2,
        _AMAZON,
        (_LINUX_PATH + "amzn2-ami-minimal-hvm-{arch}-ebs",),
        "Amazon Linux 2",
        gib=2,
        volume_type="standard",
        modern=False,
    ),
    _Kind(
        "debian-12-{deb}-{date}-1",
        _DEBIAN,
        ("/aws/service/debian/release/12/latest/{deb}",),
        "Debian 12",
        volume_type="gp3",
        modern=False,
    ),
    _Kind(
        "debian-13-{deb}-{date}-1",
        _DEBIAN,
        ("/aws/service/debian/release/13/latest/{deb}",),
        "Debian 13",
        volume_type="gp3",
        modern=False,
    ),
    _Kind(
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-{deb}-server-{date}",
        _CANONICAL,
        (_UBUNTU_PATH + "22.04/stable/current/{deb}/hvm/ebs-gp2/ami-id",),
        "Ubuntu 22.04 LTS",
        root="/dev/sda1",
        volume_type="gp2",
        modern=False,
    ),
    _Kind(
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{deb}-server-{date}",
        _CANONICAL,
        (_UBUNTU_PATH + "24.04/stable/current/{deb}/hvm/ebs-gp3/ami-id",),
        "Ubuntu 24.04 LTS",
        root="/dev/sda1",
    ),
)


def _filled(text: str, architecture: str) -> str:
    optional = "" if architecture == "x86_64" else f"{architecture}/"
    names = {"arch": architecture, "deb": _DEB[architecture], "date": DATE, "arch/": optional}
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    return text


def _stable_id(prefix: str, region: str, name: str) -> str:
    """An id that is the same wherever and whenever it is asked for."""
    return f"{prefix}-0{hashlib.sha256(f'{region}/{name}'.encode()).hexdigest()[:16]}"


def _kinds() -> list[_Kind]:
    here = instance_types.machine_architecture()
    return [kind for kind in _KINDS if here in _DEB and kind.only in ("", here)]


def _image(kind: _Kind, region: str, place: int) -> Image:
    architecture = instance_types.machine_architecture()
    name = _filled(kind.name, architecture)
    content = "with Docker and the ECS container agent" if kind.base == "ecs" else "without a container agent"
    gp3 = kind.volume_type == "gp3"
    root = BlockDevice(
        device_name=kind.root,
        size=kind.gib,
        snapshot_id=_stable_id("snap", region, name),
        volume_type=kind.volume_type,
        iops=3000 if gp3 else None,
        throughput=125 if gp3 else None,
    )
    return Image(
        id=_stable_id("ami", region, name),
        account=kind.owner,
        region=region,
        name=name,
        description=f"Dryport: a Linux host over this machine's own system, {content}, in the place of {kind.system}",
        architecture=architecture,
        base=kind.base,
        root_device_name=kind.root,
        block_devices=[root],
        created_at=MADE - place,  # the first of those that a name fits is the most recent one
        public=True,
        owner_alias="amazon",
        boot_mode="uefi-preferred" if kind.modern else "",
        imds_support="v2.0" if kind.modern else "",
        ssm_parameter=_filled(kind.parameters[0], architecture),
    )


@lru_cache(maxsize=4)
def images(region: str) -> dict[str, Image]:
    """The public images of a region, by id."""
    made = (_image(kind, region, place) for place, kind in enumerate(_kinds()))
    return {image.id: image for image in made}


def parameters(region: str, docker: str) -> Iterator[tuple[str, str]]:
    """Names and values of the public parameters about images. ``docker`` is the version of the Docker Engine here.

    Source: "Retrieving Amazon ECS-optimized Linux AMI metadata", ECS developer guide.
    """
    for kind, image in zip(_kinds(), images(region).values(), strict=True):
        for each in kind.parameters:
            name = _filled(each, image.architecture)
            if kind.base == "ecs":
                yield from _metadata(name, kind, image, docker)
            else:
                yield name, image.id


def _metadata(name: str, kind: _Kind, image: Image, docker: str) -> Iterator[tuple[str, str]]:
    facts = {
        "ecs_agent_version": AGENT_VERSION,
        "ecs_runtime_version": f"Docker version {docker}",
        "image_id": image.id,
        "image_name": image.name,
        "image_version": _filled(kind.version, image.architecture),
        "os": kind.system,
        "schema_version": 1,
        "source_image_name": _filled(kind.source, image.architecture),
    }
    yield name, json.dumps(facts, separators=(",", ":"))
    for fact, value in facts.items():
        yield f"{name}/{fact}", str(value)
    family = name.removesuffix("recommended")
    yield family + image.name, json.dumps(facts, separators=(",", ":"))
    yield f"{family}{image.name}/image_id", image.id
