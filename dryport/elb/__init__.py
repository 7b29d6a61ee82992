"""Elastic Load Balancing v2: load balancers, target groups, listeners, rules and targets.

``api`` writes what is wanted; what names, attributes, health checks, conditions and actions may be is in pure modules
beside it. ``dataplane`` is the pure part of what carries the traffic (a balancer's plan, as HAProxy has it).
"""
