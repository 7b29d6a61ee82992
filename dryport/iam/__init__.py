"""Who may do what: access keys and sessions (``credentials``); users, roles and policies come with the roles issue.

Owns: access keys and temporary credentials. Watches: nothing.
"""
