"""HTTP/1.1 and websockets on asyncio: llhttp parses, the kernel sends files, one object a connection.

``connection`` reads requests and writes answers in order; ``exchange`` is one of them as handlers see it; ``body``
holds the bytes of a request on their way to its handler; ``files`` sends files; ``sockets`` speaks websockets;
``listener`` has all the connections.
Sources: RFC 9110, RFC 9112, RFC 6455.
"""
