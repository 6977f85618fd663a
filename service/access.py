"""API keys from a file."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from service.problems import Problem
from service.settings import SettingsError

PROTECTED = frozenset({"/pose", "/segment", "/people", "/models", "/models/{name}", "/admin/reload"})
_HASHED = "sha256:"


class ApiKeys:
    """The keys that open the protected routes, kept as SHA-256."""

    def __init__(self, digests: list[str]) -> None:
        self._digests = digests

    @classmethod
    def from_file(cls, path: Path) -> "ApiKeys":
        """A key, or `sha256:` and the SHA-256 of one in hexadecimal, on each line; `#` begins a comment.

        raises: SettingsError if the file cannot be read or has no key.
        """
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"api_keys_file: {path} cannot be read") from error
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise SettingsError(f"api_keys_file: {path} has no key")
        return cls([_digest_of_line(key) for key in keys])

    def check(self, headers: Mapping[str, str]) -> None:
        """raises: Problem `no-key` or `wrong-key`."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            key = headers.get("x-api-key", "")
        if not key.strip():
            detail = "this route needs an API key; send Authorization: Bearer <key> or X-API-Key: <key>"
            raise Problem("no-key", detail, headers={"WWW-Authenticate": "Bearer"})
        digest = _digest(key.strip())
        # Every key is compared, each in constant time.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise Problem("wrong-key", "the API key is not known here")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _digest_of_line(line: str) -> str:
    return line.removeprefix(_HASHED).strip().lower() if line.startswith(_HASHED) else _digest(line)
