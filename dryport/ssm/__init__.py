"""AWS Systems Manager, two parts of it: Parameter Store, and hybrid activations with the machines that join by them.

Owns: parameters and their versions, ``SecureString`` values sealed; activations and managed
instances. Watches: nothing.
"""
