"""`POST /pose` as clients meet it."""

import pytest

from hrformer.geometry.skeletons import JOINTS
from tests.service.conftest import Running
from tests.service.pictures import plain


async def test_the_answer_has_the_form_of_the_contract(service: Running) -> None:
    answer = await service.client.post("/pose", content=plain())
    assert answer.status_code == 200
    assert answer.json() == {
        "model": "echo-pose",
        "model_version": "0123456789ab",
        "request_id": answer.headers["x-request-id"],
        "image": {"width": 40, "height": 30},
        "boxes": "whole",
        "people": [
            {
                "box": [0.0, 0.0, 40.0, 30.0],
                "box_score": 1.0,
                "score": pytest.approx(0.7843),
                "keypoints": [
                    {"name": name, "x": 100.0, "y": 150.0, "score": 0.7843, "visible": True}
                    for name in JOINTS
                ],
            }
        ],
    }
