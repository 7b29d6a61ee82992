"""Which permissions a request needs: AWS's actions, the resources that it names, the keys that it brings. Pure.

``data/`` has a file a service, a row an operation, made by ``bin/_authorization.py`` of AWS's service authorization
reference; a file is read with the first request to its service. A row has the action's resources as ``type:member`` of
the request (``?``: only where it is named; no member: any, as of what the operation makes), the condition keys that a
member gives, and as ``others`` those that have to be asked of the store.

Source: "Actions, resources, and condition keys for AWS services", service authorization reference.
"""

from dryport.iam.authorization.requirements import Gist, Requirement, Resource, Scope, gist, required
from dryport.iam.authorization.table import Row, Table, table

__all__ = ["Gist", "Requirement", "Resource", "Row", "Scope", "Table", "gist", "required", "table"]
