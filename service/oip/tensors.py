"""Pictures and answers as tensors of the Open Inference Protocol v2, in JSON or in binary."""

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
from service.oip.binary import DATATYPES, BadBinary, assemble, element, in_binary, split
from service.problems import Problem

INPUT = "image"
BINARY = "application/octet-stream"

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
    outputs: tuple[tuple[str, bool], ...]  # names, and whether each is sent in binary; none: all
    is_binary: bool  # whether those that are not named are

    @property
    def has_binary(self) -> bool:
        """Whether anything of the answer is sent in binary."""
        return any(is_binary for _, is_binary in self.outputs) if self.outputs else self.is_binary

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.outputs)


def parse_request(headers: Mapping[str, str], body: bytes, max_image_bytes: int) -> InferRequest:
    """The request of one BYTES input: a picture's file, in base64 or in binary behind the JSON.

    raises: Problem `bad-json`, `bad-base64`, `empty-body` or `body-too-large`.
    """
    if not body:
        raise Problem("empty-body", "the body is empty: expected an inference request in JSON")
    try:
        json, tensors = split(headers, body)
        request = _object_of(json)
        image = _image_of(request.get("inputs"), tensors)
    except BadBinary as error:
        raise _bad(str(error)) from error
    check_image(image, max_image_bytes)
    parameters = request.get("parameters", {})
    if not isinstance(parameters, dict):
        raise _bad("expected an object of options", "parameters")
    is_binary = parameters.get("binary_data_output") is True
    given = [
        (name, value)
        for name, value in parameters.items()
        if value is not None and name != "binary_data_output"
    ]
    outputs = _outputs_of(request.get("outputs", []), is_binary=is_binary)
    return InferRequest(image, given, _id_of(request.get("id")), outputs, is_binary)


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


def finished(answer: bytes, request: InferRequest) -> tuple[bytes, int | None]:
    """The answer with the request's id and the outputs that it names; the JSON's length if tensors follow."""
    head = {} if request.id is None else {"id": request.id}
    if request.has_binary:
        return assemble(answer, head, request.outputs)
    if request.outputs and "mask" not in request.names:  # which is alone, and too long to be read again
        value = orjson.loads(answer)
        outputs = {output["name"]: output for output in value["outputs"]}
        answer = orjson.dumps(value | {"outputs": [outputs[name] for name in request.names]})
    return (answer if not head else orjson.dumps(head)[:-1] + b"," + answer[1:]), None


def _head(served: Served) -> dict[str, Any]:
    return {"model_name": served.name, "model_version": served.version}


def _in_json(served: Served, arrays: Mapping[str, np.ndarray]) -> bytes:
    outputs = [
        {"name": name, "datatype": DATATYPES[array.dtype], "shape": array.shape, "data": array.ravel()}
        for name, array in arrays.items()
    ]
    return orjson.dumps({**_head(served), "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)


def _pose(result: PoseResult) -> bytes:
    return _in_json(result.served, pose_arrays(result.people))


def _pose_in_binary(result: PoseResult) -> bytes:
    return in_binary(_head(result.served), pose_arrays(result.people))


def _people(result: PeopleResult) -> bytes:
    return _in_json(result.served, people_arrays(result.people))


def _people_in_binary(result: PeopleResult) -> bytes:
    return in_binary(_head(result.served), people_arrays(result.people))


def _segment(result: SegmentResult) -> bytes:
    return _in_json(result.served, {"mask": result.class_map})


def _segment_in_binary(result: SegmentResult) -> bytes:
    return in_binary(_head(result.served), {"mask": result.class_map})


# By whether the answer has tensors in binary.
POSE: dict[bool, Format[PoseResult]] = {
    False: Format(JSON, _pose, is_light=True),
    True: Format(BINARY, _pose_in_binary, is_light=True),
}
PEOPLE: dict[bool, Format[PeopleResult]] = {
    False: Format(JSON, _people, is_light=True),
    True: Format(BINARY, _people_in_binary, is_light=True),
}
SEGMENT: dict[bool, Format[SegmentResult]] = {
    False: Format(JSON, _segment),
    True: Format(BINARY, _segment_in_binary),
}


def _object_of(json: bytes) -> dict[str, Any]:
    check_json(json)
    try:
        request = orjson.loads(json)
    except ValueError:
        raise _bad("expected an inference request in JSON; tensors in binary need their header") from None
    if not isinstance(request, dict):
        raise _bad("expected an object with `inputs`")
    return request


def _image_of(inputs: Any, tensors: bytes | None) -> bytes:
    """The picture's file. raises: Problem, BadBinary."""
    one = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else None
    if not isinstance(one, dict) or (one.get("name"), one.get("datatype")) != (INPUT, "BYTES"):
        raise _bad(f"expected one input, `{INPUT}`, of datatype BYTES")
    shape = one.get("shape")
    if not isinstance(shape, list) or not shape or set(map(str, shape)) != {"1"}:
        raise _bad("expected shape [1]: one picture in a request")
    parameters = one.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None or tensors:
        return element(size, tensors or b"")
    return decode_base64(_text_of(one.get("data")))


def _text_of(data: Any) -> str:
    while isinstance(data, list) and len(data) == 1:  # flat, or in as many lists as the shape has sides
        data = data[0]
    if not isinstance(data, str):
        raise _bad("expected, in `data`, one picture in base64, or `binary_data_size` in `parameters`")
    return data


def _id_of(given: Any) -> str | None:
    if given is not None and not isinstance(given, str):
        raise _bad("expected a string", "id")
    return given or None


def _outputs_of(outputs: Any, *, is_binary: bool) -> tuple[tuple[str, bool], ...]:
    objects = [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else [{}]
    names = [name for one in objects if isinstance(name := one.get("name"), str)]
    if len(names) < len(objects) or len(objects) < len(outputs) or len(set(names)) < len(names):
        raise _bad("expected a list of objects with a name each, and no name twice", "outputs")
    parameters = [one.get("parameters") for one in objects]
    asked = [one.get("binary_data", is_binary) if isinstance(one, dict) else is_binary for one in parameters]
    return tuple((name, one is True) for name, one in zip(names, asked, strict=True))


def _bad(detail: str, field: str = "inputs") -> Problem:
    return Problem("bad-json", detail, field=field)
