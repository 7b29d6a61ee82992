"""AWS CloudTrail: an account of every call that manages something, searchable by LookupEvents.

It owns ``<state>/audit/``. The gateway tells ``recorder`` of calls; ``events`` says them in CloudTrail's format.
Calls that move data (objects, log events, discovery) are no management events, and not recorded, as on AWS.
"""
