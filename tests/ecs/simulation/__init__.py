"""ECS's control plane in a simulation: its real handlers, loops, store and agent sessions on a virtual clock.

``loop`` is the time, ``plane`` the control plane with its disk and its killing, ``links`` what is between it and the
``agents``, ``history`` what happens, ``invariants`` what must stay true. ``python -m tests.ecs.simulation`` runs it.
"""
