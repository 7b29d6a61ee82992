"""nftables through libnftables: whole batches, atomic, without starting a process."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import threading


class NftError(Exception):
    """nftables refused a batch; nothing of it is in force."""


@functools.cache
def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(ctypes.util.find_library("nftables") or "libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    return library


# The library's parser shares tables between its contexts.
_lock = threading.Lock()


class Nft:
    """A context of libnftables: it stays bound to the network namespace of the thread that makes it.

    May be used from any thread afterwards. Raises OSError where the library (Debian: ``libnftables1``) is
    missing.
    """

    def __init__(self) -> None:
        self._library = _load()
        with _lock:
            self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
            self._library.nft_ctx_buffer_output(self._context)
            self._library.nft_ctx_buffer_error(self._context)

    def run(self, batch: str) -> str:
        """Run commands as ``nft -f`` does, all or none; what they print. Raises NftError."""
        with _lock:
            result = self._library.nft_run_cmd_from_buffer(self._context, batch.encode())
            output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
            error: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        if result != 0:
            raise NftError(error.decode(errors="replace").strip())
        return output.decode(errors="replace")

    def close(self) -> None:
        """Give the context's memory and socket back."""
        with _lock:
            self._library.nft_ctx_free(self._context)


def apply(batch: str) -> None:
    """Run a batch in the namespace of this thread, on a context of its own. Raises NftError, OSError."""
    nft = Nft()
    try:
        nft.run(batch)
    finally:
        nft.close()
