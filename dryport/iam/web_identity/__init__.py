"""Tokens of OpenID Connect providers, for AssumeRoleWithWebIdentity.

``tokens`` reads and checks one (pure), ``keys`` fetches a provider's public keys, ``assuming`` makes a session of it.
"""
