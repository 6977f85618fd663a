"""Pictures and answers as tensors of the Open Inference Protocol v2, in JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from hrformer.geometry.skeletons import JOINTS
from service.answers import PeopleResult, PoseResult, SegmentResult
from service.body import Upload, check_image, check_json, decode_base64
from service.formats.npz import people_arrays, pose_arrays
from service.formats.table import JSON, Format
from service.models import Served
from service.problems import Problem

INPUT = "image"
DATATYPES = {np.dtype(np.float32): "FP32", np.dtype(np.uint8): "UINT8"}

# Name, datatype and shape of each output by task; -1 is the number of people, or the size of the picture.
OUTPUTS: dict[str, tuple[tuple[str, str, tuple[int, ...]], ...]] = {
    "pose": (
        ("boxes", "FP32", (-1, 4)),
        ("box_scores", "FP32", (-1,)),
        ("scores", "FP32", (-1,)),
        ("keypoints", "FP32", (-1, len(JOINTS), 3)),
    ),
    "people": (("boxes", "FP32", (-1, 4)), ("scores", "FP32", (-1,))),
    "segmentation": (("mask", "UINT8", (-1, -1)),),
}


@dataclass(frozen=True)
class InferRequest(Upload):
    """A picture, its options (the parameters), and what the answer shall have."""

    id: str | None
    outputs: tuple[str, ...]  # none: all


def parse_request(_: str, body: bytes, max_image_bytes: int) -> InferRequest:
    """The request of one BYTES input with a picture in base64.

    raises: Problem `bad-json`, `bad-base64`, `empty-body` or `body-too-large`.
    """
    if not body:
        raise Problem("empty-body", "the body is empty: expected an inference request in JSON")
    check_json(body)
    try:
        request = orjson.loads(body)
    except ValueError:
        raise _bad("expected an inference request in JSON; tensors in binary are not read") from None
    if not isinstance(request, dict):
        raise _bad("expected an object with `inputs`")
    image = decode_base64(_text_of(request.get("inputs")))
    check_image(image, max_image_bytes)
    parameters = request.get("parameters", {})
    if not isinstance(parameters, dict):
        raise _bad("expected an object of options", "parameters")
    given = [(name, value) for name, value in parameters.items() if value is not None]
    return InferRequest(image, given, _id_of(request.get("id")), _names_of(request.get("outputs", [])))


def metadata(served: Served) -> dict[str, Any]:
    """What the protocol tells of a model."""
    outputs = [
        {"name": name, "datatype": datatype, "shape": list(shape)}
        for name, datatype, shape in OUTPUTS[served.entry.task]
    ]
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": "pytorch_safetensors",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [1]}],
        "outputs": outputs,
    }


def check_outputs(names: Sequence[str], task: str) -> None:
    """raises: Problem `bad-json` when the model has no output of a name."""
    known = [name for name, _, _ in OUTPUTS[task]]
    if unknown := [name for name in names if name not in known]:
        raise _bad(f"there is no output {unknown[0][:64]!r}; there are {', '.join(known)}", "outputs")


def finished(answer: bytes, request: InferRequest) -> bytes:
    """The answer with the request's id, and with the outputs that it names."""
    if request.outputs and "mask" not in request.outputs:  # which is alone, and too long to be read again
        value = orjson.loads(answer)
        outputs = {output["name"]: output for output in value["outputs"]}
        answer = orjson.dumps(value | {"outputs": [outputs[name] for name in request.outputs]})
    return answer if request.id is None else b'{"id":' + orjson.dumps(request.id) + b"," + answer[1:]


def _pose(result: PoseResult) -> bytes:
    return _answer(result.served, pose_arrays(result.people))


def _people(result: PeopleResult) -> bytes:
    return _answer(result.served, people_arrays(result.people))


def _segment(result: SegmentResult) -> bytes:
    return _answer(result.served, {"mask": result.class_map})


POSE: Format[PoseResult] = Format(JSON, _pose, is_light=True)
PEOPLE: Format[PeopleResult] = Format(JSON, _people, is_light=True)
SEGMENT: Format[SegmentResult] = Format(JSON, _segment)


def _answer(served: Served, arrays: Mapping[str, np.ndarray]) -> bytes:
    outputs = [
        {"name": name, "datatype": DATATYPES[array.dtype], "shape": array.shape, "data": array.ravel()}
        for name, array in arrays.items()
    ]
    value = {"model_name": served.name, "model_version": served.version, "outputs": outputs}
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _text_of(inputs: Any) -> str:
    one = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else None
    if not isinstance(one, dict) or (one.get("name"), one.get("datatype")) != (INPUT, "BYTES"):
        raise _bad(f"expected one input, `{INPUT}`, of datatype BYTES")
    data = one.get("data")
    while isinstance(data, list) and len(data) == 1:  # flat, or in as many lists as the shape has sides
        data = data[0]
    shape = one.get("shape")
    if not isinstance(data, str) or not isinstance(shape, list) or not shape or set(map(str, shape)) != {"1"}:
        raise _bad("expected shape [1] and, in `data`, one picture in base64; binary tensors are not read")
    return data


def _id_of(given: Any) -> str | None:
    if given is not None and not isinstance(given, str):
        raise _bad("expected a string", "id")
    return given or None


def _names_of(outputs: Any) -> tuple[str, ...]:
    objects = [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else [{}]
    names = [name for one in objects if isinstance(name := one.get("name"), str)]
    if len(names) < len(objects) or len(objects) < len(outputs) or len(set(names)) < len(names):
        raise _bad("expected a list of objects with a name each, and no name twice", "outputs")
    parameters = [one.get("parameters") for one in objects]
    if any(isinstance(one, dict) and one.get("binary_data") for one in parameters):
        raise _bad("tensors in binary are not offered; ask for them without binary_data", "outputs")
    return tuple(names)


def _bad(detail: str, field: str = "inputs") -> Problem:
    return Problem("bad-json", detail, field=field)
