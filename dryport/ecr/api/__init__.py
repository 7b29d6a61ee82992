"""ECR's operations: a module a resource, a handler an operation."""

from dryport.ecr.api import images, layers, policies, registries, repositories, tags
from dryport.ecr.api.operations import OPERATIONS

__all__ = ["images", "layers", "policies", "registries", "repositories", "service", "tags"]

service = OPERATIONS.service
