"""The three forms of a body (the file itself, a form, JSON) → the picture's bytes and the options."""

import asyncio
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from service.disconnect import ClientGone
from service.forms import BadForm, read_form
from service.problems import Problem

ENVELOPE_BYTES = 1024 * 1024  # what a form or JSON may have beside the picture
# Options with all the boxes have some 400. Ten million would take a gigabyte and hold everything for seconds.
MAX_JSON_COMMAS = 10_000

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Fields = list[tuple[str, Any]]


@dataclass(frozen=True)
class Upload:
    """What a request carries."""

    image: bytes
    fields: Fields  # options beside the picture: text of a form, values of JSON


def max_bytes_of(content_type: str, max_image_bytes: int) -> int:
    """How long a body of this type may be so that the picture in it keeps to the limit."""
    kind = _media_type(content_type)
    if kind == "application/json":
        return max_image_bytes * 4 // 3 + ENVELOPE_BYTES
    return max_image_bytes + (ENVELOPE_BYTES if kind == "multipart/form-data" else 0)


def is_bare(content_type: str) -> bool:
    """Whether a body of this type is taken for the file itself."""
    return _media_type(content_type) not in ("multipart/form-data", "application/json")


async def read_body(
    receive: Receive,
    *,
    declared_bytes: int | None,
    max_bytes: int,
    timeout_s: float,
    on_bytes: Callable[[int], None],
) -> bytes:
    """The body, chunk by chunk, never more than `max_bytes` of it in memory.

    declared_bytes: Content-Length, where given; a body that is too large by it is not read at all.
    on_bytes: told the length of each chunk; may raise.
    raises: Problem `body-too-large` or `slow-body`; ClientGone.
    """
    if declared_bytes is not None and declared_bytes > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    left_bytes = max_bytes
    try:
        async with asyncio.timeout(timeout_s) as timeout:
            has_more = True
            while has_more:
                chunk, has_more = await _next_chunk(receive)
                if not chunk:
                    continue
                on_bytes(len(chunk))
                chunks.append(chunk)
                left_bytes -= len(chunk)
                if left_bytes < 0:
                    raise _too_large(max_bytes)
    except TimeoutError:
        if not timeout.expired():
            raise
        detail = f"the body did not arrive within {timeout_s:g} s; send it faster, or a smaller picture"
        raise Problem("slow-body", detail, headers={"Connection": "close"}) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def discard_body(receive: Receive, timeout_s: float) -> None:
    """Reads the body without keeping it. raises: ClientGone; TimeoutError when it does not end in time."""
    async with asyncio.timeout(timeout_s):
        has_more = True
        while has_more:
            _, has_more = await _next_chunk(receive)


def parse_upload(headers: Mapping[str, str], body: bytes, max_image_bytes: int) -> Upload:
    """The picture and the fields beside it. Any type but a form or JSON is the file itself: the bytes decide.

    raises: Problem `empty-body`, `bad-multipart`, `bad-json`, `bad-base64` or `body-too-large`.
    """
    content_type = headers.get("content-type", "")
    if is_bare(content_type):
        upload = Upload(body, [])
    elif _media_type(content_type) == "application/json":
        upload = _from_json(body)
    else:
        upload = _from_form(content_type, body)
    check_image(upload.image, max_image_bytes)
    return upload


def check_image(image: bytes, max_image_bytes: int) -> None:
    """raises: Problem `empty-body` or `body-too-large`."""
    if not image:
        raise Problem("empty-body", "there is no picture: expected the bytes of an image file")
    if len(image) > max_image_bytes:
        raise _too_large(max_image_bytes)


def check_json(body: bytes) -> None:
    """raises: Problem `bad-json` when there is more to be made of it than its bytes are."""
    if body.count(b",") > MAX_JSON_COMMAS:
        raise Problem("bad-json", f"the JSON has more than {MAX_JSON_COMMAS} values; expected a few options")


async def _next_chunk(receive: Receive) -> tuple[bytes, bool]:
    """What came of the body, and whether there is more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _media_type(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    return "application/json" if kind.startswith("application/") and kind.endswith("+json") else kind


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        "body-too-large", f"the body is longer than {max_bytes} bytes; compress the picture or scale it down"
    )


def _from_json(body: bytes) -> Upload:
    if not body:
        raise Problem("empty-body", "the body is empty: expected JSON with the picture in `image`")
    check_json(body)
    try:
        pairs = json.loads(body, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise Problem("bad-json", "the body is said to be JSON and cannot be read as such") from None
    if not isinstance(pairs, tuple):
        raise Problem("bad-json", 'the JSON is not an object; expected {"image": "<base64>", …options}')
    images = [value for name, value in pairs if name == "image"]
    if len(images) != 1 or not isinstance(images[0], str):
        raise Problem("bad-json", "expected one string `image` with the picture in base64", field="image")
    fields = [(name, value) for name, value in pairs if name != "image" and value is not None]
    return Upload(decode_base64(images[0]), fields)


def decode_base64(text: str) -> bytes:
    """A picture from JSON, with or without a data: prefix. raises: Problem `bad-base64`."""
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise Problem("bad-base64", "the data: prefix of `image` does not say ;base64", field="image")
    try:
        return binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except ValueError:
        detail = "`image` is not base64; send the picture's bytes in standard base64. URLs are never fetched"
        raise Problem("bad-base64", detail, field="image") from None


def _from_form(content_type: str, body: bytes) -> Upload:
    try:
        parts = read_form(content_type, body)
    except BadForm as error:
        raise Problem("bad-multipart", str(error)) from error
    images = [content for name, content in parts if name == "image"]
    if len(images) != 1:
        detail = f"the form has {len(images)} parts called `image`; expected one, with the picture"
        raise Problem("bad-multipart", detail, field="image")
    return Upload(images[0], [(name, _text(name, content)) for name, content in parts if name != "image"])


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Problem("bad-multipart", f"the field {name!r} of the form is not UTF-8", field=name) from None
