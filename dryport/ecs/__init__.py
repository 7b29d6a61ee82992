"""Amazon ECS: clusters, task definitions, tasks, container instances, and the agents' protocol.

Owns: everything in ``model``. Watches: its own tasks and instances, and EC2's network interfaces.
``api/`` has a module a resource; ``controllers/`` makes tasks so; ``acs/`` speaks to the agents; ``taskdef/`` and
``lifecycle`` are pure.
"""
