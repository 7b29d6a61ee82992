"""Amazon CloudWatch Logs: log groups, log streams and their events, searched with filter patterns.

Owns: log groups (in the store), streams and events (``<state>/logs.db``, see ``storage``: events never are
in the store's memory). Watches: nothing; ``retention`` wakes by the clock and deletes what has expired.
"""
