"""Services: a number of tasks kept running, and deployments from one revision of them to the next.

``model`` is what is stored; ``rolling``, ``daemon``, ``breaker``, ``rollout`` are pure: how many tasks start and stop,
when a deployment has failed, what becomes of a service's deployments. ``controllers.services`` makes it so.
"""
