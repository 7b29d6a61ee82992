"""Who may do what.

Access keys and sessions (``credentials``), the policy engine (``policy``), which permissions a request needs
(``authorization``), AWS's managed policies (``managed``), the policy simulator (``simulation``). ``api`` has what
needs no enforcement; users, roles and enforcement come together, with the roles issue.

Owns: access keys and temporary credentials. Watches: nothing.
"""
