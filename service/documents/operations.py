"""What the API document says of a route that takes a picture: options, formats, problems."""

from collections.abc import Mapping
from typing import Any

from service.formats.table import JSON, Format
from service.options import Option
from service.problem_kinds import KINDS
from service.problems import MEDIA_TYPE

_BINARY = {"type": "string", "format": "binary"}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "`/problems/<slug>`, a page that explains it"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong, what was expected, what to do"},
        "request_id": {"type": "string"},
        "field": {"type": "string", "description": "the option, header or field meant"},
        "index": {"type": "integer", "description": "the box meant"},
    },
}
HEADERS: list[dict[str, Any]] = [
    {"name": name, "in": "header", "description": meaning, "schema": schema}
    for name, schema, meaning in (
        (
            "X-Timeout-Ms",
            {"type": "integer", "minimum": 1, "maximum": 600_000},
            "an answer after that is of no use",
        ),
        ("X-Priority", {"type": "string", "enum": ["high", "normal"]}, "high goes first"),
    )
]
STATUSES = sorted({kind.status for kind in KINDS.values()} - {405, 409})


def operation(
    options: Mapping[str, Option], formats: Mapping[str, Format[Any]], answer: type[Any]
) -> dict[str, Any]:
    """Arguments for the route's decorator."""
    return {
        "tags": ["pictures"],
        "openapi_extra": {
            "parameters": [_parameter(option, formats) for option in options.values()] + HEADERS,
            "requestBody": {"required": True, "content": _bodies(options, formats)},
        },
        "responses": {200: _success(formats, answer)} | problems(*STATUSES),
    }


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of these statuses."""
    return {
        status: {
            "description": "; ".join(f"`{slug}`" for slug, kind in KINDS.items() if kind.status == status),
            "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
        }
        for status in statuses
    }


def path_parameter(name: str) -> dict[str, Any]:
    """A part of the path that is a name."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _schema(option: Option, formats: Mapping[str, Format[Any]]) -> dict[str, Any]:
    schema = dict(option.schema)
    if option.name == "format":
        schema["enum"] = list(formats)
    if option.default is not None:
        schema["default"] = option.default
    return schema


def _parameter(option: Option, formats: Mapping[str, Format[Any]]) -> dict[str, Any]:
    schema = _schema(option, formats)
    return {"name": option.name, "in": "query", "description": option.meaning, "schema": schema}


def _bodies(options: Mapping[str, Option], formats: Mapping[str, Format[Any]]) -> dict[str, Any]:
    fields = {name: _schema(option, formats) for name, option in options.items()}
    form = {"type": "object", "required": ["image"], "properties": {"image": _BINARY} | fields}
    image = {"type": "string", "description": "base64, with or without a data: prefix"}
    json = {"type": "object", "required": ["image"], "properties": {"image": image} | fields}
    return {
        "image/*": {"schema": _BINARY},
        "application/octet-stream": {"schema": _BINARY},
        "multipart/form-data": {"schema": form},
        JSON: {"schema": json},
    }


def _success(formats: Mapping[str, Format[Any]], answer: type[Any]) -> dict[str, Any]:
    types = dict.fromkeys(form.media_type for form in formats.values())
    content = {media_type: {"schema": _BINARY} for media_type in types if media_type != JSON}
    headers = {
        name: {"schema": {"type": "string"}} for name in ("X-Model", "X-Model-Version", "X-Request-ID")
    }
    return {"model": answer, "description": "The answer", "content": content, "headers": headers}
