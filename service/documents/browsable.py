"""The API document as a page to read."""

from collections.abc import Mapping
from html import escape
from typing import Any

from service.documents.html import table, text

_EXAMPLES = """curl --data-binary @photo.jpg localhost:8000/pose
curl --data-binary @photo.jpg 'localhost:8000/pose?format=overlay' -o pose.png
curl --data-binary @photo.jpg localhost:8000/people
curl --data-binary @photo.jpg localhost:8000/segment -o mask.png
curl -F image=@photo.jpg -F 'boxes=[[10, 20, 200, 400]]' localhost:8000/pose"""


def browsable(document: Mapping[str, Any]) -> str:
    """HTML of an OpenAPI document: every operation with its parameters, bodies and answers."""
    info = document["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return "".join(
        [
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{text(info.get('description', ''))}</p>",
            f"<pre>{escape(_EXAMPLES)}</pre>",
            '<p>The same as <a href="/openapi.json">OpenAPI</a>; served: <a href="/models">models</a>;',
            ' what can go wrong: <a href="/problems/">problems</a>.</p>',
            *operations,
        ]
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f"<summary><code>{method.upper()} {escape(path)}</code></summary>",
        f"<p>{text(operation.get('description', ''))}</p>",
        table(
            ["parameter", "in", "value", "meaning"], [_parameter(p) for p in operation.get("parameters", [])]
        ),
        table(["body", "fields"], _bodies(operation)),
        table(["status", "answer"], _answers(operation)),
    ]
    return f"<details>{''.join(parts)}</details>"


def _parameter(parameter: Mapping[str, Any]) -> list[str]:
    name = f"<code>{escape(parameter['name'])}</code>"
    return [name, parameter["in"], _value(parameter["schema"]), text(parameter.get("description", ""))]


def _value(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        kind = ", ".join(map(str, schema["enum"]))
    elif "minimum" in schema:
        kind = f"{schema['type']} {schema['minimum']} to {schema['maximum']}"
    else:
        kind = str(schema.get("type", ""))
    default = f", default {schema['default']}".lower() if "default" in schema else ""
    return escape(kind + default)


def _bodies(operation: Mapping[str, Any]) -> list[list[str]]:
    content = operation.get("requestBody", {}).get("content", {})
    return [[escape(name), _fields(body["schema"])] for name, body in content.items()]


def _fields(schema: Mapping[str, Any]) -> str:
    names = schema.get("properties")
    return (
        "the bytes of the file"
        if names is None
        else ", ".join(f"<code>{escape(name)}</code>" for name in names)
    )


def _answers(operation: Mapping[str, Any]) -> list[list[str]]:
    return [[status, _answer(answer)] for status, answer in operation["responses"].items()]


def _answer(answer: Mapping[str, Any]) -> str:
    types = ", ".join(escape(name) for name in answer.get("content", {}))
    return f"{text(answer.get('description', ''))} {types}"
