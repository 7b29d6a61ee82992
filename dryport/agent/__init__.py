"""The container agent: what runs on a host of containers.

It speaks to the control plane through AWS's own agent protocol and the signed API, and through nothing else.
``engine/`` holds one state machine a task, ``runtime/`` runs the containers, ``metadata/`` answers the tasks'
questions, ``logs/`` ships what they print.
"""
