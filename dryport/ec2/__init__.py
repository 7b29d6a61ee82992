"""EC2 as far as ECS and Fargate rest on it: VPCs, subnets, routes, security groups, network interfaces.

Owns the tables of ``model`` and watches them: ``controllers`` has the host driver make real what they say. Other
services call ``published``. ``firewall`` and ``addressing`` are pure.
"""
