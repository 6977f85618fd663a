"""What the API document says of the Open Inference Protocol's metadata and inference."""

from typing import Any

from service.documents.operations import HEADERS, STATUSES, path_parameter, problems
from service.formats.table import JSON
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
    ["name", "datatype", "shape", "data"],
    name={"type": "string", "enum": ["image"]},
    datatype={"type": "string", "enum": ["BYTES"]},
    shape=_list({"type": "integer", "enum": [1]}, 1),
    data=_list(_TEXT | {"description": "the picture's file in base64"}, 1),
)
_TENSOR = {"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE}
_REQUEST = _object(
    ["inputs"],
    id=_TEXT,
    inputs=_list(_INPUT, 1),
    parameters={"type": "object", "properties": _OPTIONS},
    outputs=_list(_object(["name"], name=_TEXT)),
)
_ANSWER = _object(
    ["model_name", "model_version", "outputs"],
    id=_TEXT,
    model_name=_TEXT,
    model_version=_TEXT,
    outputs=_list(_object([*_TENSOR, "data"], **_TENSOR, data=_list({"type": "number"}))),
)
_MODEL = _object(
    ["name", "versions", "platform", "inputs", "outputs"],
    name=_TEXT,
    versions=_list(_TEXT),
    platform=_TEXT,
    inputs=_list(_object(list(_TENSOR), **_TENSOR)),
    outputs=_list(_object(list(_TENSOR), **_TENSOR)),
)


def _success(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The answer", "content": {JSON: {"schema": schema}}}}


METADATA = _success(_MODEL)
INFERENCE: dict[str, Any] = {
    "openapi_extra": {
        "parameters": [path_parameter("name"), *HEADERS],
        "requestBody": {"required": True, "content": {JSON: {"schema": _REQUEST}}},
    },
    "responses": _success(_ANSWER) | problems(*(status for status in STATUSES if status != 406)),
}
