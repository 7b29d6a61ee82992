"""Service Connect's proxies: a HAProxy in a container of each task that has one.

The container is like any other of the task: it takes part in its limits, its output goes where the task's does, it
outlives the agent. ``image`` makes its file system of the machine's HAProxy, ``haproxy`` its configuration (pure),
``proxies`` brings both to the task and tells the proxy where services are reached.
"""
