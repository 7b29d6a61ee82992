"""Service Connect: names within a namespace for the services of its members, by a proxy in each of their tasks.

``configuration`` is what services may ask for, ``cloud_map`` the names that are kept in Cloud Map, ``proxy`` what the
proxy of a task is to do (pure), ``message`` how its agent is told. The proxy itself is the agent's (``agent.connect``).

Source: "Use Service Connect to connect Amazon ECS services with short names", developer guide.
"""
