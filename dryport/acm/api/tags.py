"""Tags of certificates."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.acm import model
from dryport.acm.api.common import certificate, with_tags
from dryport.gateway.service import Call, Output, Service


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("AddTagsToCertificate")(add)
    service.operation("RemoveTagsFromCertificate")(remove)
    service.operation("ListTagsForCertificate")(list_all)


def add(call: Call, request: Any) -> Output:
    """Add tags, or change their values."""
    found = certificate(call, request["CertificateArn"])
    call.tx.put(model.CERTIFICATES, replace(found, tags=with_tags(found.tags, request["Tags"])))
    return None


def remove(call: Call, request: Any) -> Output:
    """Remove tags; one that is given with a value, only if it has that."""
    found = certificate(call, request["CertificateArn"])
    going = {
        each["Key"]
        for each in request["Tags"]
        if each.get("Value", found.tags.get(each["Key"])) == found.tags.get(each["Key"])
    }
    left = {key: value for key, value in found.tags.items() if key not in going}
    call.tx.put(model.CERTIFICATES, replace(found, tags=left))
    return None


def list_all(call: Call, request: Any) -> Output:
    """A certificate's tags."""
    found = certificate(call, request["CertificateArn"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in found.tags.items()]}
