"""What the API document says of the Open Inference Protocol's metadata and inference."""

from typing import Any

from service.documents.operations import HEADERS, STATUSES, path_parameter, problems
from service.formats.table import JSON
from service.oip.binary import HEADER, LONGEST
from service.oip.tensors import BINARY
from service.options import PEOPLE, POSE

_TEXT = {"type": "string"}
_SHAPE = {"type": "array", "items": {"type": "integer"}}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _list(item: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    return {"type": "array", "items": item} | ({"minItems": count, "maxItems": count} if count else {})


_OPTIONS = {
    option.name: option.schema | {"description": option.meaning}
    for option in (POSE | PEOPLE).values()
    if option.name not in ("model", "format", "timing")
}
_INPUT = _object(
    ["name", "datatype", "shape"],
    name={"type": "string", "enum": ["image"]},
    datatype={"type": "string", "enum": ["BYTES"]},
    shape=_list({"type": "integer", "enum": [1]}, 1),
    data=_list(_TEXT | {"description": "the picture's file in base64"}, 1),
    parameters=_object(
        [],
        binary_data_size={
            "type": "integer",
            "description": "in place of data: bytes behind the JSON, the file's length in 4 and the file",
        },
    ),
)
_TENSOR = {"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE}
_REQUEST = _object(
    ["inputs"],
    id=_TEXT,
    inputs=_list(_INPUT, 1),
    parameters={
        "type": "object",
        "properties": _OPTIONS | {"binary_data_output": {"type": "boolean"}},
    },
    outputs=_list(_object(["name"], name=_TEXT, parameters=_object([], binary_data={"type": "boolean"}))),
)
_ANSWER = _object(
    ["model_name", "model_version", "outputs"],
    id=_TEXT,
    model_name=_TEXT,
    model_version=_TEXT,
    outputs=_list(
        _object(
            list(_TENSOR),
            **_TENSOR,
            data=_list({"type": "number"}),
            parameters=_object([], binary_data_size={"type": "integer"}),
        )
    ),
)
_MODEL = _object(
    ["name", "versions", "platform", "inputs", "outputs"],
    name=_TEXT,
    versions=_list(_TEXT),
    platform=_TEXT,
    inputs=_list(_object(list(_TENSOR), **_TENSOR)),
    outputs=_list(_object(list(_TENSOR), **_TENSOR)),
)


_LENGTH = {
    "name": HEADER,
    "in": "header",
    "schema": {"type": "integer", "minimum": 0, "maximum": LONGEST},
    "description": "bytes of the JSON, where tensors in binary follow it",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}  # JSON, and tensors behind it


def _success(schema: dict[str, Any], **more: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The answer", "content": {JSON: {"schema": schema}, **more}}}


METADATA = _success(_MODEL)
INFERENCE: dict[str, Any] = {
    "openapi_extra": {
        "parameters": [path_parameter("name"), _LENGTH, *HEADERS],
        "requestBody": {"required": True, "content": {JSON: {"schema": _REQUEST}, BINARY: _BINARY}},
    },
    "responses": _success(_ANSWER, **{BINARY: _BINARY})
    | problems(*(status for status in STATUSES if status != 406)),
}
