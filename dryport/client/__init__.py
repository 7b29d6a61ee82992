"""A small asynchronous signed client for AWS's JSON services and for S3's GetObject."""

from dryport.client.client import PATIENCE, ApiError, Client, Credentials, Unreachable

__all__ = ["PATIENCE", "ApiError", "Client", "Credentials", "Unreachable"]
