"""The API document, its page, and the pages of the problems."""

import re
from html.parser import HTMLParser

import pytest
from pydantic import TypeAdapter

from service.answers import PeopleAnswer, PoseAnswer, SegmentAnswer
from service.options import PEOPLE, POSE, SEGMENT
from service.problem_kinds import KINDS
from tests.service.conftest import Running, echo_models, in_process
from tests.service.echo_models import EchoPeople
from tests.service.pictures import plain

PAGES = ["/docs", "/problems/", "/problems/overloaded"]


async def test_the_document_has_every_route_option_and_header(service: Running) -> None:
    paths = (await service.client.get("/openapi.json")).json()["paths"]
    for path, options in (("/pose", POSE), ("/segment", SEGMENT), ("/people", PEOPLE)):
        names = {parameter["name"] for parameter in paths[path]["post"]["parameters"]}
        assert names == options.keys() | {"X-Timeout-Ms", "X-Priority"}
    assert {"/models", "/models/{name}", "/livez", "/readyz", "/metrics", "/version"} <= paths.keys()


async def test_the_document_has_every_status_of_the_problems(service: Running) -> None:
    responses = (await service.client.get("/openapi.json")).json()["paths"]["/pose"]["post"]["responses"]
    assert {str(kind.status) for kind in KINDS.values()} - {"405", "409"} == responses.keys() - {"200"}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/pose", PoseAnswer),
        ("/pose?boxes=whole&timing=true", PoseAnswer),
        ("/people?timing=true", PeopleAnswer),
        ("/segment?format=json", SegmentAnswer),
    ],
)
async def test_answers_are_as_documented(path: str, answer: type) -> None:
    async with in_process(echo_models() | {"echo-people": EchoPeople()}) as running:
        found = (await running.client.post(path, content=plain())).json()
    assert TypeAdapter(answer).validate_python(found, strict=True, extra="forbid") == found


class Links(HTMLParser):
    """Everything that a page would fetch or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_fetches_nothing_and_its_links_lead_somewhere(service: Running, path: str) -> None:
    page = await service.client.get(path)
    links = Links()
    links.feed(page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not links.tags & {"script", "link", "img", "iframe"}
    for link in links.found:
        assert (await service.client.get(link)).status_code == 200


async def test_the_page_shows_every_route_and_option(service: Running) -> None:
    text = (await service.client.get("/docs")).text
    assert all(f"<code>{name}</code>" in text for name in POSE)
    assert all(f" {route}<" in text for route in ("/pose", "/segment", "/people", "/readyz"))


async def test_the_root_leads_to_the_page(service: Running) -> None:
    answer = await service.client.get("/", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/docs")


async def test_an_unknown_problem_has_no_page(service: Running) -> None:
    assert (await service.client.get("/problems/%3Cscript%3E")).status_code == 404


async def test_the_commands_of_the_page_name_routes_that_exist(service: Running) -> None:
    text = (await service.client.get("/docs")).text
    routes = set(re.findall(r"localhost:8000(/\w+)", text))
    assert routes == {"/pose", "/people", "/segment"}
