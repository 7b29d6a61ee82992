"""Who may do what.

Access keys and sessions (``credentials``), the policy engine (``policy``), which permissions a request needs
(``authorization``), what stands before each operation (``enforcement``), who may assume a role (``assuming``), AWS's
managed policies (``managed``), the policy simulator (``simulation``).

Owns: users, groups, roles, instance profiles, customers' policies, access keys and temporary credentials. Watches:
nothing.
"""
