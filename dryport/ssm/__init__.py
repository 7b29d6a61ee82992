"""AWS Systems Manager's Parameter Store: parameters, their versions and labels; public parameters of other services.

Owns: parameters and their versions, ``SecureString`` values sealed. Watches: nothing.
"""
