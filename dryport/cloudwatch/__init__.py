"""CloudWatch: metrics, what is worked out of them, and alarms on them.

Owns the file of data points and of alarms' history (``<state>/metrics.db``) and the rows of alarms in the store.
Watches its own tables: data that other services hand in, and history that is to be written.
"""
