"""What a parameter's value must be. Pure.

Source: API reference of PutParameter.
"""

from __future__ import annotations

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.ssm.names import validation

DEFAULT_KEY = "alias/aws/ssm"
_STANDARD_BYTES = 4096
_ADVANCED_BYTES = 8192
_OTHER_DATA_TYPES = (
    "aws:ec2:image", "aws:ssm:integration", "aws:region", "aws:account:id", "boolean", "integer", "float", "binary",
    "hostname", "email", "ipv4-address", "ipv6-address", "url", "json", "jsonc",
)  # fmt: skip


def tier_of(asked: str | None, before: str | None, value: str) -> str:
    """The tier that a value gets, ``Standard`` or ``Advanced``, given the tier of the version before it, if any.

    Raises ServiceError where the value is too long for the tier, or the tier would go down.
    """
    size = len(value.encode())
    tier = asked or before or "Standard"
    if tier == "Intelligent-Tiering":
        tier = "Advanced" if size > _STANDARD_BYTES or before == "Advanced" else "Standard"
    if tier == "Standard" and before == "Advanced":
        raise validation(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
            "advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced "
            "parameter and recreate it as a standard parameter."
        )
    if tier == "Standard" and size > _STANDARD_BYTES:
        raise validation(
            f"Standard tier parameters support a maximum parameter value of {_STANDARD_BYTES} characters. To create a "
            "larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, "
            "see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
        )
    if size > _ADVANCED_BYTES:
        raise validation(f"Advanced tier parameters support a maximum parameter value of {_ADVANCED_BYTES} characters.")
    return tier


def check_data_type(data_type: str) -> None:
    """Raise ServiceError for a data type other than ``text``: Dryport validates no other."""
    if data_type in _OTHER_DATA_TYPES:
        raise unsupported_parameter("ssm", "PutParameter", f"DataType {data_type}")
    if data_type != "text":
        raise validation(f"The following data type is not supported: {data_type} (Data type names are all lowercase.)")


def check_pattern(value: str, pattern: str) -> None:
    """Raise ServiceError where the value does not match the pattern, or the pattern is none.

    By RE2, whose cost is linear in the value; it has no look-around and no back-references.
    """
    import re2  # only where a parameter has one: it takes memory

    options = re2.Options()
    options.log_errors = False
    try:
        matched = re2.compile(pattern, options=options).fullmatch(value)
    except re2.error as error:
        raise ServiceError("InvalidAllowedPatternException", f"Invalid allowed pattern: {pattern}") from error
    if matched is None:
        raise ServiceError(
            "ParameterPatternMismatchException",
            f"Parameter value, cannot be validated against allowedPattern: {pattern}",
        )


def key_of(kind: str, key_id: str | None) -> str | None:
    """The key that a value of this type is encrypted with. Raises ServiceError where it is another than SSM's own."""
    if kind != "SecureString":
        if key_id is not None:
            raise validation("KeyId is required for SecureString type parameter only.")
        return None
    if key_id not in (None, DEFAULT_KEY):
        raise unsupported_parameter("ssm", "PutParameter", f"KeyId {key_id}")
    return DEFAULT_KEY
