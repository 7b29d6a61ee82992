"""Where blobs and half-sent layers lie: ``interface`` is what the registry sees, ``files`` keeps them in files."""

from dryport.ecr.storage.files import FileBlobs
from dryport.ecr.storage.interface import Blobs, DigestMismatch, StorageFull, Writer

__all__ = ["Blobs", "DigestMismatch", "FileBlobs", "StorageFull", "Writer"]
