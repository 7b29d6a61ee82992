"""The task engine: one actor a task, pure decisions, effects through the runtime.

``dependencies``, ``plan``, ``events``, ``health``, ``restart``, ``spec`` and ``envfile`` are pure. ``actor`` owns a
task's record, ``steps`` does what its plan says, ``provision`` readies its surroundings, ``engine`` knows all tasks.
"""
