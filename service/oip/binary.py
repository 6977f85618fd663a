"""Tensors in binary: the protocol's extension that sends them behind the JSON, as long as a header says.

The body is the JSON, of `Inference-Header-Content-Length` bytes, then the tensors in the order of the JSON,
each of `binary_data_size` bytes, little-endian. An element of BYTES has its length in 4 bytes before it.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

HEADER = "Inference-Header-Content-Length"
EXTENSION = "binary_tensor_data"
LENGTH = struct.Struct("<I")  # before an element of BYTES, and before the JSON of an answer for `assemble`
LONGEST = 999_999_999  # bytes that a header may tell of

DTYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype(np.uint8)}
DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}


class BadBinary(Exception):
    """Lengths that do not fit together. The message says which."""


def split(headers: Mapping[str, str], body: bytes) -> tuple[bytes, bytes | None]:
    """The JSON of a request, and the tensors behind it; None where it says that there are none.

    raises: BadBinary.
    """
    declared = headers.get(HEADER.lower())
    if declared is None:
        return body, None
    if not (
        declared.isascii()
        and declared.isdigit()
        and len(declared) <= len(str(LONGEST))
        and int(declared) <= len(body)
    ):
        raise BadBinary(f"{HEADER} is {declared[:20]!r}; expected the bytes of the JSON, at most {len(body)}")
    return body[: int(declared)], body[int(declared) :]


def element(declared: Any, tensors: bytes) -> bytes:
    """The one element of the one BYTES tensor, of the size declared. raises: BadBinary."""
    if declared != len(tensors) or isinstance(declared, bool):
        raise BadBinary(f"binary_data_size is {str(declared)[:20]}; behind the JSON are {len(tensors)} bytes")
    if len(tensors) < LENGTH.size or LENGTH.unpack_from(tensors)[0] != len(tensors) - LENGTH.size:
        raise BadBinary("expected one element: its length in 4 bytes, little-endian, and so many bytes")
    return tensors[LENGTH.size :]


def in_binary(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """An answer with all its tensors, for `assemble`."""
    parts = [
        np.ascontiguousarray(array, DTYPES[DATATYPES[array.dtype]]).tobytes() for array in arrays.values()
    ]
    outputs = [
        {"name": name, "datatype": DATATYPES[array.dtype], "shape": array.shape, "bytes": len(part)}
        for (name, array), part in zip(arrays.items(), parts, strict=True)
    ]
    json = orjson.dumps({**head, "outputs": outputs})
    return b"".join([LENGTH.pack(len(json)), json, *parts])


def assemble(answer: bytes, head: Mapping[str, Any], wanted: Sequence[tuple[str, bool]]) -> tuple[bytes, int]:
    """The body of an answer, and the length of its JSON.

    answer: of `in_binary`. head: goes before what that says. wanted: names of outputs in their order, and
    whether each is sent in binary; all in binary if there are none.
    """
    start = LENGTH.size + LENGTH.unpack_from(answer)[0]
    value = orjson.loads(answer[LENGTH.size : start])
    tensors: dict[str, tuple[dict[str, Any], bytes]] = {}
    for output in value["outputs"]:
        end = start + output.pop("bytes")
        tensors[output["name"]], start = (output, answer[start:end]), end
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, is_binary in wanted or [(name, True) for name in tensors]:
        output, data = tensors[name]
        if is_binary:
            outputs.append(output | {"parameters": {"binary_data_size": len(data)}})
            parts.append(data)
        else:
            outputs.append(output | {"data": np.frombuffer(data, DTYPES[output["datatype"]])})
    json = orjson.dumps({**head, **value, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([json, *parts]), len(json)
