"""How much, and how long, a connection may take. Sizes are bytes, times seconds."""

from __future__ import annotations

HEAD_BYTES = 64 * 1024  # request line and headers
HEADERS = 200
QUEUED_REQUESTS = 8  # pipelined ones that wait for their turn
BODY_BUFFER = 256 * 1024  # of a body that nobody reads; beyond, the connection is not read
MESSAGE_BYTES = 16 * 1024 * 1024  # one websocket message
QUEUED_MESSAGES = 256

HEAD_SECONDS = 30.0  # from a request's first byte to the end of its headers
IDLE_SECONDS = 120.0  # between requests
STALL_SECONDS = 60.0  # without a byte of a body that is waited for, or with a full send buffer
LINGER_SECONDS = 2.0  # for a client to see the answer before a connection with unread data goes
LINGER_BYTES = 4 * 1024 * 1024
