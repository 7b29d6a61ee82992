"""The way in: AWS's wire protocols, driven by botocore's service models, and the dispatch to handlers.

``service`` is what the services see of it. The gateway knows no service's insides. ``server`` serves; ``dispatch``
takes a request from ``router`` and ``auth`` through a protocol's codec (``json_rpc``, ``query``, ``rest``,
``cbor_rpc``) and ``constraints`` to its handler and back.
"""
