"""Access logs of load balancers: HAProxy's records as AWS's files in S3.

``records`` has HAProxy write one line a request, ``lines`` makes AWS's of them, ``files`` names what holds them,
``permission`` asks the bucket's policy, ``delivery`` is the loop.
"""
