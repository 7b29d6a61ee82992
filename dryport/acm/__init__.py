"""AWS Certificate Manager: certificates that load balancers show, imported or issued by this Dryport's own authority.

It owns CERTIFICATES and AUTHORITIES. Private keys are sealed in the store. What uses a certificate load balancing
knows.
"""
