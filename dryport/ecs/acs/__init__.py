"""The agents' websockets: ACS tells an agent what to run, TCS takes its telemetry.

Owns: the credentials that tasks were granted (``model``), sessions and telemetry in memory. Watches: tasks, grants,
container instances. Pure parts: ``payload`` and ``docker_config`` (a task as the agent reads it), ``messages``.
"""
