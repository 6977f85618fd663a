"""API keys from a file, and how often each may ask."""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from pathlib import Path

from service.problems import Problem
from service.rates import Rates
from service.settings import SettingsError

PROTECTED = frozenset(
    {
        "/pose",
        "/segment",
        "/people",
        "/models",
        "/models/{name}",
        "/admin/reload",
        "/v2",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/infer",
    }
)
_HASHED = "sha256:"

logger = logging.getLogger(__name__)


class ApiKeys:
    """The keys that open the protected routes, kept as SHA-256.

    raises: SettingsError if the file cannot be read or has no key.
    """

    def __init__(self, file: Path, rates: Rates | None = None) -> None:
        self._file, self._rates = file, rates
        self._digests = _read(file)

    def reread(self) -> None:
        """The keys as the file has them now; those that it had where it cannot be read."""
        try:
            self._digests = _read(self._file)
        except SettingsError as error:
            logger.error("the API keys stay as they were: %s", error)
        else:
            logger.info("API keys read", extra={"keys": len(self._digests)})

    def check(self, headers: Mapping[str, str]) -> None:
        """raises: Problem `no-key`, `wrong-key` or `rate-limited`."""
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
        if self._rates is not None:
            self._rates.take(digest)


def _read(file: Path) -> list[str]:
    """The digests of keys. Each line is a key, or `sha256:` and the digest of one; `#` begins a comment."""
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"api_keys_file: {file} cannot be read") from error
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise SettingsError(f"api_keys_file: {file} has no key")
    return [_digest_of_line(key) for key in keys]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _digest_of_line(line: str) -> str:
    return line.removeprefix(_HASHED).strip().lower() if line.startswith(_HASHED) else _digest(line)
