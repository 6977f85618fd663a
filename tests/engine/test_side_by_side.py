"""Parts of a batch that are computed side by side."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hrformer.checkpoints.manifest import Entry
from hrformer.engine.pose import PoseEngine
from hrformer.engine.side_by_side import PIXELS, parts_of, run_in_parts
from hrformer.modeling.network import build
from hrformer.modeling.variants import variant

SIDE = 128


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def pictures(count: int, size: tuple[int, int] = (SIDE, 96)) -> Tensor:
    return torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1).expand(count, 3, *size)


@pytest.mark.parametrize(
    ("count", "threads", "parts"),
    [
        (1, 1, 1),
        (16, 1, 1),
        (1, 2, 1),
        (3, 2, 1),
        (4, 2, 2),
        (16, 2, 2),
        (16, 16, 1),
        (64, 16, 4),
        (1024, 16, 16),
    ],
)
def test_a_part_keeps_its_threads_computing_while_python_issues_the_others(
    count: int, threads: int, parts: int
) -> None:
    assert SIDE * 96 == PIXELS
    assert parts_of(pictures(count), threads) == parts


@pytest.mark.parametrize(
    ("count", "threads", "parts"), [(1, 2, 1), (2, 2, 2), (3, 2, 1), (5, 2, 2), (2, 8, 2), (17, 16, 11)]
)
def test_a_recording_is_cut_into_parts_of_like_sizes(count: int, threads: int, parts: int) -> None:
    assert parts_of(pictures(count, (32, 32)), threads, needs_python=False) == parts


def test_a_picture_is_never_cut() -> None:
    assert parts_of(pictures(1, (2048, 2048)), 8) == 1
    assert parts_of(pictures(3, (2048, 2048)), 8) == 3


@pytest.mark.usefixtures("two_threads")
def test_answers_come_in_the_order_of_the_batch() -> None:
    threads: set[str] = set()
    together = threading.Barrier(2)  # both parts are under way at once, or this breaks

    def run(part: Tensor) -> Tensor:
        threads.add(threading.current_thread().name)
        together.wait(timeout=30)
        assert torch.get_num_threads() == 1
        assert torch.is_inference_mode_enabled()
        return part[:, 0, 0, 0] * 10

    answers = run_in_parts(run, pictures(5))
    assert answers.tolist() == [0, 10, 20, 30, 40]
    assert threads == {"part-0", "part-1"}


@pytest.mark.usefixtures("two_threads")
def test_the_caller_keeps_its_threads_and_so_do_threads_that_begin_later() -> None:
    run_in_parts(lambda part: part[:, 0, 0, 0], pictures(8))
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert (torch.get_num_threads(), seen) == (2, [2])


@pytest.mark.usefixtures("two_threads")
def test_a_part_that_fails_fails_the_batch_and_the_next_batch_runs() -> None:
    def run(part: Tensor) -> Tensor:
        if part[0, 0, 0, 0] > 0:
            raise ValueError("of the second part")
        return part[:, 0, 0, 0]

    with pytest.raises(ValueError, match="of the second part"):
        run_in_parts(run, pictures(4))
    assert run_in_parts(lambda part: part[:, 0, 0, 0], pictures(4)).tolist() == [0, 1, 2, 3]


def test_parts_give_what_the_whole_batch_gives(two_threads: None) -> None:
    entry = Entry(
        name="pose",
        task="pose",
        variant="tiny",
        file=Path(),
        sha256="",
        config=variant("tiny", "pose"),
        input_sizes=((SIDE, 96),),
        precision="float32",
        labels="coco-17",
    )
    engine = PoseEngine(build(entry.config), entry, device="cpu")
    crops = torch.randint(
        256, (5, 3, SIDE, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    in_parts = engine.run(crops)
    torch.set_num_threads(1)
    assert torch.allclose(in_parts[:, :, 2], engine.run(crops)[:, :, 2], atol=1e-5)
