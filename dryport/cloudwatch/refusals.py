"""CloudWatch's errors."""

from __future__ import annotations

from dryport.aws.errors import ServiceError


def invalid(message: str) -> ServiceError:
    """A value that cannot be."""
    return ServiceError("InvalidParameterValueException", message)


def missing(parameter: str) -> ServiceError:
    """A parameter that has to be there."""
    return ServiceError("MissingRequiredParameterException", f"The parameter {parameter} is required.")


def clash(message: str) -> ServiceError:
    """Parameters that cannot be together."""
    return ServiceError("InvalidParameterCombinationException", message)


def exclusive(one: str, other: str) -> ServiceError:
    """Two parameters of which only one can be."""
    return clash(f"The parameters {one} and {other} are mutually exclusive and you have specified both.")


def validation(message: str) -> ServiceError:
    """What PutMetricAlarm and GetMetricData answer what cannot be."""
    return ServiceError("ValidationError", message)


def bad_token() -> ServiceError:
    """A token that is none of ours."""
    return ServiceError("InvalidNextToken", "The value specified for NextToken is invalid.")
