"""The instance metadata service: 169.254.169.254 in each VPC, for the instances there and nobody else.

``service`` decides what a request is answered (pure), ``tokens`` makes and checks version 2's tokens, ``server``
carries. Source: "Instance metadata and user data", EC2 user guide.
"""
