"""The runtime of container instances: Docker Engine, as ECS's own agent uses it."""
