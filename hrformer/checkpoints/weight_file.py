"""A safetensors file without its tensors: header, metadata, checksum. No torch."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from hrformer.checkpoints.errors import UnreadableCheckpoint

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal. raises: UnreadableCheckpoint if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableCheckpoint(f"{path} cannot be read: {error.strerror}") from error


def read_header(path: Path) -> dict[str, Any]:
    """Dtype, shape and offsets by key, and the metadata under `__metadata__`.

    raises: UnreadableCheckpoint if the file is not there, truncated or no safetensors file.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise UnreadableCheckpoint(f"{path} is no safetensors file, or a truncated one")
            header = json.loads(file.read(length))
    except OSError as error:
        raise UnreadableCheckpoint(f"{path} cannot be read: {error.strerror}") from error
    except (struct.error, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnreadableCheckpoint(f"{path} is no safetensors file, or a truncated one") from error
    if not isinstance(header, dict):
        raise UnreadableCheckpoint(f"{path} is no safetensors file")
    return header
