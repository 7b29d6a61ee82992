"""The processes of load balancers: an HAProxy each, in a network namespace of its own.

``process`` runs one, ``driver`` keeps all of them running. What is in a configuration is the control plane's affair.
A driver that is killed leaves them working; the next one finds them by what they left in ``Config.balancer_dir``.
"""
