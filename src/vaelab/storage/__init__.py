"""Files that are complete or absent: written atomically, with checksums, never a pickle."""

from __future__ import annotations

from vaelab.storage.files import is_ours, lock, replaced, require_free, write_file, write_ours
from vaelab.storage.sealed import FORMAT_VERSION, Schema, seal, unseal, versions

__all__ = [
    "FORMAT_VERSION",
    "Schema",
    "is_ours",
    "lock",
    "replaced",
    "require_free",
    "seal",
    "unseal",
    "versions",
    "write_file",
    "write_ours",
]
