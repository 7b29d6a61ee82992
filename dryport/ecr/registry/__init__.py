"""The OCI distribution API 1.1 under ``/v2/``, as ECR gives it: ``door`` lets requests in; a module a kind of thing."""
