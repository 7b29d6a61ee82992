"""A small asynchronous signed client for AWS's JSON services and for S3's GetObject."""

from dryport.client.client import ApiError, Client, Credentials, Unreachable

__all__ = ["ApiError", "Client", "Credentials", "Unreachable"]
