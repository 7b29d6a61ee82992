"""Names, labels and selectors of parameters. Pure.

Source: API reference of PutParameter ("Naming Constraints") and LabelParameterVersion.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dryport.aws import arn
from dryport.aws.errors import ServiceError

_NAME = re.compile(r"[a-zA-Z0-9_.\-/]+")
_LABEL = re.compile(r"(?!aws|ssm|\d)[a-zA-Z0-9_.\-]{1,100}", re.IGNORECASE)
_MOST_LEVELS = 15
_LONGEST = 1011  # with the ARN's other parts


def validation(message: str) -> ServiceError:
    """A ValidationException."""
    return ServiceError("ValidationException", message)


class Reference(NamedTuple):
    """What a caller asks for: a name, and a ``selector`` (a version's number or a label) or the empty string.

    ``owner`` is the account that an ARN names, ``None`` where the reference is a bare name.
    """

    name: str
    selector: str
    owner: str | None = None
    region: str | None = None


def reference(text: str) -> Reference:
    """Read ``name``, ``name:selector`` or an ARN, with or without a selector."""
    parsed = arn.parse(text)
    if parsed is None or parsed.service != "ssm":
        name, _, selector = text.strip().partition(":")
        return Reference(name, selector)
    path, _, selector = parsed.resource.partition(":")
    name = path.removeprefix("parameter")
    return Reference(name, selector, parsed.account, parsed.region)


def check_new_name(name: str) -> None:
    """Raise ServiceError where a parameter may not be given this name."""
    bare = name.lower().lstrip("/")
    hierarchy = name.count("/") > 1
    if name.lower().startswith("/aws") and hierarchy:
        raise ServiceError("AccessDeniedException", f"No access to reserved parameter name: {name}.")
    if bare.startswith(("aws", "ssm")):
        raise (
            _refused("ssm")
            if hierarchy
            else validation('Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive).')
        )
    if not _NAME.fullmatch(name) or "//" in name or name.endswith("/"):
        raise _refused('aws" or "ssm')
    if "/" in name and not name.startswith("/"):
        raise validation("Parameter name must be a fully qualified name.")
    if len(name) > _LONGEST:
        raise validation("Parameter name is too long.")
    if len([level for level in name.split("/") if level]) > _MOST_LEVELS:
        raise ServiceError(
            "HierarchyLevelLimitExceededException", "A parameter name hierarchy can have a maximum of 15 levels."
        )


def _refused(prefix: str) -> ServiceError:
    return validation(
        f'Parameter name: can\'t be prefixed with "{prefix}" (case-insensitive). If formed as a path, it can consist '
        "of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the "
        "following 3 symbols .-_"
    )


def check_path(path: str) -> None:
    """Raise ServiceError where a hierarchy cannot be named so."""
    if not path.startswith("/") or "//" in path or not _NAME.fullmatch(path):
        raise validation(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward "
            'slash "/". It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, '
            "numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not "
            'allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: '
            "/get/parameters2-/by1./path0_."
        )


def under(name: str, path: str, recursive: bool) -> bool:
    """Whether a parameter lies in the hierarchy of a path, or, not ``recursive``, directly in it."""
    qualified = "/" + name.removeprefix("/")
    start = path.rstrip("/") + "/"
    return qualified.startswith(start) and (recursive or "/" not in qualified[len(start) :])


def is_label(text: str) -> bool:
    """Whether a version may carry this label."""
    return _LABEL.fullmatch(text) is not None
