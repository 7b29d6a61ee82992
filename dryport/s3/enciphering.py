"""Encryption at rest with keys of S3's own (SSE-S3): AES-256 in counter mode, NIST SP 800-38A, a key for each file.

Counter mode lets any range of a file be read alone. It keeps secret, and does not show whether somebody altered a file:
clients that ask for an object's checksum (``ChecksumMode``) see that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dryport.gateway.file_parts import Decipher, Opener
from dryport.store.sealing import Sealer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

ALGORITHM = "AES256"  # as the API calls it
SUFFIX = ".aes"  # of files that are enciphered; those of older Dryports are not
_BLOCK = 16  # bytes of AES


def algorithm(file: str) -> str:
    """How a file is encrypted, in the API's word; empty where it is not."""
    return ALGORITHM if file.endswith(SUFFIX) else ""


class Enciphering:
    """Keys of files, each derived from the state's own key and the file's name, which never comes twice."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def writer(self, file: str) -> Decipher:
        """Enciphers a file from its beginning on."""
        return self._cipher(file, 0).encryptor().update

    def opener(self, file: str) -> Opener | None:
        """Deciphers a file; ``None`` where there is nothing to decipher."""
        if not algorithm(file):
            return None

        def opened(offset: int) -> Decipher:
            block, within = divmod(offset, _BLOCK)
            decryptor = self._cipher(file, block).decryptor()
            decryptor.update(bytes(within))
            return decryptor.update

        return opened

    def _cipher(self, file: str, block: int) -> Cipher[modes.CTR]:
        # Only where there are objects: the library takes megabytes of memory.
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES256(self._sealer.derived(f"s3/{file}")), modes.CTR(block.to_bytes(_BLOCK, "big")))
