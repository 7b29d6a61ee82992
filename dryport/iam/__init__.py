"""Who may do what.

Access keys and sessions (``credentials``), the policy engine (``policy``), which permissions a request needs
(``authorization``), AWS's managed policies (``managed``). Users, roles and enforcement come with the roles issue.

Owns: access keys and temporary credentials. Watches: nothing.
"""
