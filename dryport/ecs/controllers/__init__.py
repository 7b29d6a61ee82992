"""ECS's loops: ``tasks`` brings each task along its life, ``task_definitions`` lets deleted revisions go.

``decisions`` says what to do next, ``steps`` does it inside a transaction.
"""
