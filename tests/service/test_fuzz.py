"""Made-up requests and damaged pictures: whatever is sent, the answer is a documented one."""

import asyncio

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service.conftest import echo_models, on_sockets
from tests.service.crowd import asked_in_turn
from tests.service.echo_models import EchoPeople
from tests.service.pictures import damaged
from tests.service.test_input_policy import TAKEN

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
DEADLINE_EXCEEDED = 504  # made-up requests may leave 1 ms for the answer


def ask_everything(url: str) -> int:
    """Sends requests to every operation, good and bad ones; returns how many operations there are."""
    schema = schemathesis.openapi.from_url(url)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:

        @settings(
            max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            answer = case.call()
            case.validate_response(answer, checks=CHECKS)
            assert answer.status_code < 500 or answer.status_code == DEADLINE_EXCEEDED

        ask()
    return len(operations)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_every_answer_to_made_up_requests_is_a_documented_one() -> None:
    async with on_sockets(echo_models() | {"echo-people": EchoPeople()}) as running:
        url = f"http://127.0.0.1:{running.address[1]}/openapi.json"
        assert await asyncio.to_thread(ask_everything, url) == 15
        assert (await running.client.get("/livez")).status_code == 200


async def test_damaged_pictures_are_answered_and_never_a_defect() -> None:
    files = list(damaged(list(TAKEN.values()), 400))
    async with on_sockets(max_image_pixels=1_000_000) as running:
        figures = await asked_in_turn(running.address, iter(files), connections=4)
        assert figures.statuses.keys() <= {200, 413, 415, 422}
        assert figures.statuses[422] > 50
        assert (await running.client.get("/livez")).status_code == 200
