"""What the compared servers have in common: the same network, the same answers, the same setup."""

import importlib.util
import random
import re
import tomllib
from email import message_from_bytes
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hrformer
from benchmarks.measure import agree, result_of, server_turn
from benchmarks.peers.plain_fastapi import create_app
from benchmarks.peers.work import Work
from benchmarks.servers import OURS, PEERS, Server, version_of
from benchmarks.setup import Setup
from hrformer.images.encode import encode_png_palette
from service.load.pictures import made_pictures
from service.load.run import Load
from tests.conftest import REPOSITORY
from tests.material import ASTRONAUT, mask_entry, pose_entry, saved
from tests.strategies import quick

FILE = ASTRONAUT.read_bytes()
LANDSCAPE, PORTRAIT = made_pictures([(64, 48), (48, 64)], random.Random(0))
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
PINS = dict(
    re.fullmatch(r"(\w+)(?:\[.*\])?==([^ ]+).*", line).groups()  # type: ignore[union-attr,misc]
    for line in [*EXTRAS["peers"], *EXTRAS["ray"]]
)


@pytest.fixture(scope="module")
def poser(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    entry = saved(pose_entry(), tmp_path_factory.mktemp("pose"))
    return Setup(model=str(entry.file), device="cpu")


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    entry = saved(mask_entry(), tmp_path_factory.mktemp("masks"))
    return Setup(model=str(entry.file), device="cpu")


def test_a_pose_is_that_of_the_library(poser: Setup) -> None:
    [answer] = Work(poser).answers([FILE])
    [person] = hrformer.load(poser.model, device="cpu").pose(FILE, "whole")
    assert agree("pose", result_of("pose", answer), person.keypoints[:, :2].tolist())


def test_a_mask_is_that_of_the_library(parser: Setup) -> None:
    work = Work(parser)
    class_map = hrformer.load(parser.model, device="cpu").segment(FILE)
    assert work.answers([FILE]) == [encode_png_palette(class_map, work.entry.palette)]


def test_pictures_of_several_sizes_keep_their_order(parser: Setup) -> None:
    work = Work(parser)
    together = work.answers([LANDSCAPE, PORTRAIT, LANDSCAPE])
    [landscape], [portrait] = work.answers([LANDSCAPE]), work.answers([PORTRAIT])
    assert [together[0], together[1]] == [landscape, portrait]
    assert together[0] == together[2] != together[1]


async def test_plain_fastapi_answers_with_the_same(poser: Setup) -> None:
    work = Work(poser)
    transport = httpx.ASGITransport(create_app(work))
    async with httpx.AsyncClient(transport=transport, base_url="http://peer") as client:
        answer = await client.post("/predict", content=FILE)
    assert (answer.headers["content-type"], answer.content) == ("application/json", work.answers([FILE])[0])


def test_other_results_are_no_agreement() -> None:
    assert agree("pose", [(1.0, 2.0)], [(1.05, 2.0)])
    assert not agree("pose", [(1.0, 2.0)], [(1.2, 2.0)])
    assert not agree("segmentation", b"one", b"two")


@pytest.mark.parametrize(
    "server", [server for server in PEERS if server.takes_forms], ids=lambda one: one.name
)
def test_a_form_holds_the_picture(server: Server) -> None:
    path, body, headers = server.request("pose", FILE)
    message = message_from_bytes(f"Content-Type: {headers['Content-Type']}\n\n".encode() + body)
    [part] = message.get_payload()
    assert (path, part.get_param("name", header="content-disposition")) == ("/predict", "image")
    assert part.get_payload(decode=True) == FILE


@quick
@given(st.builds(Setup, threads=st.integers(1, 99), model=st.text("abc-/.", min_size=1)))
def test_a_setup_survives_the_environment(setup: Setup) -> None:
    assert Setup.from_environment(setup.as_environment()) == setup


def test_every_server_of_the_extra_is_compared_in_the_version_that_is_locked() -> None:
    text = (REPOSITORY / "benchmarks/peers/constraints.txt").read_text(encoding="utf-8")
    locked = dict(line.split("==") for line in text.splitlines() if not line.startswith("#"))
    assert {server.package for server in PEERS if server.package} == PINS.keys()
    assert {name: locked[name] for name in PINS} == PINS


@pytest.mark.parametrize("server", [OURS, *PEERS], ids=lambda server: server.name)
def test_every_server_has_a_program(server: Server) -> None:
    module = server.command[3].partition(":")[0] if server.package == "bentoml" else server.command[1]
    assert importlib.util.find_spec(module) is not None


@pytest.mark.slow
@pytest.mark.parametrize("server", [OURS, *PEERS], ids=lambda server: server.name)
def test_every_server_that_is_installed_gives_the_result_of_the_engine(
    server: Server, tmp_path: Path
) -> None:
    if version_of(server) is None:
        pytest.skip(f"{server.package} is not installed; benchmarks/install does that")
    setup = Setup(device="cpu")
    loads = [Load(clients=2, seconds=1.0, warm_up_s=0.0)]
    with (tmp_path / "log").open("wb") as log:
        result, [figures] = server_turn(server, setup, "pose", [FILE], loads, log)
    assert agree("pose", result, result_of("pose", Work(setup).answers([FILE])[0]))
    assert figures.fates.keys() == {"good"}
