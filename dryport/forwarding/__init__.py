"""Services that Dryport does not serve, handed on: authorized here, signed anew, answered by a configured upstream.

``targets`` reads what was asked for (pure), ``actions`` is AWS's service authorization reference, ``permissions`` says
what a request needs (pure), ``keys`` reads the upstreams' credentials, ``upstream`` sends and streams back.
"""
