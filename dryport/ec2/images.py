"""Finding machine images: whose they are, who may see and launch them, and SSM parameters that name them."""

from __future__ import annotations

import re

from dryport.aws.errors import ServiceError
from dryport.ec2 import model, public_images
from dryport.ec2.model import Image
from dryport.ssm import published as ssm
from dryport.store import Reader

_ID = re.compile(r"ami-[0-9a-f]{8}([0-9a-f]{9})?")
_RESOLVE = "resolve:ssm:"


def find(reader: Reader, region: str, image_id: str) -> Image | None:
    """An image of a region, whoever owns it."""
    image = reader.get(model.IMAGES, image_id)
    if image is None:
        return public_images.images(region).get(image_id)
    return image if image.region == region else None


def may_see(image: Image, account: str) -> bool:
    """Whether an account may describe and launch an image."""
    return image.public or account == image.account or account in image.launch_accounts


def visible(reader: Reader, account: str, region: str) -> list[Image]:
    """Every image that an account may see in a region: its own, those shared with it, public ones."""
    found = {each.id: each for each in reader.find(model.IMAGES, "scope", model.scope(account, region))}
    found |= {each.id: each for each in reader.find(model.IMAGES, "shared", model.scope(account, region))}
    found |= {each.id: each for each in reader.find(model.IMAGES, "public", region)}
    return [*found.values(), *public_images.images(region).values()]


def not_found(*image_ids: str) -> ServiceError:
    """What EC2 answers for images that are not there, or not for this account."""
    texts = ", ".join(image_ids)
    if len(image_ids) == 1:
        return ServiceError("InvalidAMIID.NotFound", f"The image id '[{texts}]' does not exist")
    return ServiceError("InvalidAMIID.NotFound", f"The image ids '[{texts}]' do not exist")


def check_id(image_id: str) -> None:
    """Raises ServiceError where a text cannot be an image's id."""
    if not _ID.fullmatch(image_id):
        raise ServiceError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')


def get(reader: Reader, account: str, region: str, image_id: str) -> Image:
    """An image that an account may see. Raises ServiceError: InvalidAMIID.Malformed, InvalidAMIID.NotFound."""
    check_id(image_id)
    image = find(reader, region, image_id)
    if image is None or not may_see(image, account):
        raise not_found(image_id)
    return image


def resolve(reader: Reader, account: str, region: str, text: str) -> str:
    """The image id that ``ImageId`` means: itself, or what the parameter of ``resolve:ssm:NAME`` holds.

    Raises ServiceError. Source: "Use a Systems Manager parameter to find an AMI", EC2 user guide.
    """
    if not text.startswith(_RESOLVE):
        return text
    reference = text.removeprefix(_RESOLVE)
    value = ssm.value(reader, account, region, reference)
    if value is None:
        raise ServiceError("InvalidParameterValue", f"Invalid SSM parameter: {reference}")
    if not _ID.fullmatch(value):
        raise ServiceError(
            "InvalidParameterValue", f"The SSM parameter {reference} does not hold the id of an AMI: {value}"
        )
    return value


def launchable(reader: Reader, account: str, region: str, text: str) -> Image:
    """The image that RunInstances' ``ImageId`` means, ready to launch.

    Raises ServiceError: InvalidAMIID.Malformed, InvalidAMIID.NotFound, InvalidAMIID.Unavailable, AuthFailure,
    InvalidParameterValue.
    """
    image_id = resolve(reader, account, region, text)
    check_id(image_id)
    image = find(reader, region, image_id)
    if image is None:
        raise not_found(image_id)
    if not may_see(image, account):
        raise ServiceError("AuthFailure", f"Not authorized for images: [{image_id}]", status=403)
    if image.state != "available":
        raise ServiceError("InvalidAMIID.Unavailable", f"The image ID '[{image_id}]' is not available")
    return image
