"""The flags of `hrformer-load`."""

import argparse
from pathlib import Path

from service.load.pictures import SIZES, Size

DESCRIPTION = "A load on a running service, and what it met. docs/load.md tells how to read the figures."


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser("hrformer-load", description=DESCRIPTION)
    p.add_argument("url", nargs="?", default="http://127.0.0.1:8000", help="(default: %(default)s)")
    p.add_argument("--allow-remote", action="store_true", help="load another machine than this one")
    how = p.add_argument_group("how much; one of --rate and --clients")
    kind = how.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--rate", type=_numbers, metavar="N,…", help="requests a second, whatever comes back (open loop)"
    )
    kind.add_argument(
        "--clients", type=_counts, metavar="N,…", help="clients that each await their answer (closed loop)"
    )
    how.add_argument("--burst", type=_count, default=1, help="requests at the same instant (default: 1)")
    how.add_argument("--seconds", type=_positive, default=10.0, help="for each load (default: 10)")
    how.add_argument("--warm-up", type=_number, default=1.0, help="seconds before, not counted (default: 1)")
    how.add_argument("--timeout-ms", type=_count, default=30_000, help="X-Timeout-Ms (default: 30000)")
    how.add_argument("--retries", type=_some, default=0, help="of what is refused (default: 0)")
    how.add_argument("--max-connections", type=_count, default=1000, help="open at once (default: 1000)")
    how.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    what = p.add_argument_group("what is sent")
    what.add_argument("--photos", type=Path, metavar="DIR", help="photographs (default: some made here)")
    made = ",".join(f"{width}x{height}" for width, height in SIZES)
    what.add_argument(
        "--sizes", type=_sizes, default=(), metavar="WxH,…", help=f"(default: as they are, or {made})"
    )
    what.add_argument("--path", action="append", help="route with options, may be repeated (default: /pose)")
    what.add_argument("--header", action="append", type=_header, default=[], metavar="'NAME: VALUE'")
    what.add_argument("--invalid", type=_share, default=0.01, help="share of wrong requests (default: 0.01)")
    what.add_argument(
        "--leave", type=_share, default=0.02, help="share of clients that leave (default: 0.02)"
    )
    what.add_argument(
        "--leave-within-ms", type=_number, default=100.0, help="when they leave, at most (default: 100)"
    )
    out = p.add_argument_group("what comes out")
    out.add_argument("--json", action="store_true", help="all figures as JSON in place of the table")
    out.add_argument("--svg", type=Path, metavar="FILE", help="picture of latency against load")
    out.add_argument("--quiet", action="store_true", help="no progress on a terminal")
    return p


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and a million")
    return value


def _positive(text: str) -> float:
    if (value := _number(text)) == 0:
        raise argparse.ArgumentTypeError("0 is nothing; expected more")
    return value


def _count(text: str) -> int:
    return int(_positive(str(int(text))))


def _some(text: str) -> int:
    return int(_number(str(int(text))))


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share; expected 0 to 1")
    return value


def _numbers(text: str) -> list[float]:
    return [_positive(part) for part in text.split(",")]


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _sizes(text: str) -> list[Size]:
    sizes = [tuple(_count(side) for side in size.split("x")) for size in text.split(",")]
    if any(len(size) != 2 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text} is no list of sizes; expected 640x480,1024x768")
    return [(size[0], size[1]) for size in sizes]


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or "\n" in text or "\r" in text:
        raise argparse.ArgumentTypeError(f"{text} is no header; expected 'Name: value'")
    return name.strip(), value.strip()
