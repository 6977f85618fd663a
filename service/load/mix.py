"""What is sent: pictures to routes, some requests that are wrong, some clients that leave."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from service.client.connection import Address, encode_request


@dataclass(frozen=True)
class Mix:
    """Shares of what is sent."""

    pictures: Sequence[bytes]  # files, each as likely as the others
    paths: Sequence[str] = ("/pose",)  # with options, each as likely as the others
    headers: Mapping[str, str] = field(default_factory=dict)
    invalid: float = 0.01  # share of requests that no service can answer
    leave: float = 0.02  # share of clients that do not wait for their answer
    leave_within_s: float = 0.1  # they leave at any time up to this


@dataclass(frozen=True, slots=True)
class Request:
    """What one client does."""

    data: bytes  # from the first byte of the head to the last of the picture
    is_valid: bool = True
    leaves_after_s: float | None = None  # None: it waits for its answer


def requests(mix: Mix, address: Address, chance: random.Random) -> Iterator[Request]:
    """Requests drawn from the mix, without end."""
    valid = [encode_request(address, path, file, mix.headers) for path in mix.paths for file in mix.pictures]
    invalid = _invalid(mix, address)
    while True:
        is_valid = chance.random() >= mix.invalid
        leaves_after_s = chance.uniform(0, mix.leave_within_s) if chance.random() < mix.leave else None
        yield Request(chance.choice(valid if is_valid else invalid), is_valid, leaves_after_s)


def _invalid(mix: Mix, address: Address) -> list[bytes]:
    """No body, no picture, half a picture, and an option that does not exist."""
    path, file = mix.paths[0], mix.pictures[0]
    unknown = f"{path}{'&' if '?' in path else '?'}no-such-option=1"
    faults = [(path, b""), (path, b"This is no picture."), (path, file[: len(file) // 2]), (unknown, file)]
    return [encode_request(address, where, body, mix.headers) for where, body in faults]
