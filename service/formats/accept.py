"""Which media type an `Accept` header asks for (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=256)  # clients send one of a few
def best_media_type(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered type of the highest quality; among equals the one offered first. None when none is wanted.

    A part of the header that cannot be read counts for nothing; without a readable part anything will do.
    """
    ranges = [part for part in map(_range, accept.split(",")) if part is not None]
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))  # the first of equals
    return best if _quality(best, ranges) > 0 else None


def _range(part: str) -> tuple[str, float] | None:
    """`image/*;q=0.5` → ("image/*", 0.5); None for what is no media range."""
    name, *parameters = [piece.strip().lower() for piece in part.split(";")]
    if name.count("/") != 1:
        return None
    quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    try:
        return name, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return None


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """That of the most precise range that takes in the type."""
    family = media_type.partition("/")[0]
    for pattern in (media_type, f"{family}/*", "*/*"):
        found = [quality for name, quality in ranges if name == pattern]
        if found:
            return max(found)
    return 0.0
