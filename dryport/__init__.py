"""Dryport: Amazon ECS, ECR and Fargate on machines that you own."""

__version__ = "0.1.0"
