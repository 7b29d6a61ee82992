"""Roles as task definitions and tasks name them."""

from __future__ import annotations


def role_arn(account: str, named: str) -> str:
    """The ARN of a role that is given by it or by its name."""
    return named if named.startswith("arn:") else f"arn:aws:iam::{account}:role/{named}"
