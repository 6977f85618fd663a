"""`docs/scaling.md`: its figures follow from the measured ones, its program runs, its overlay is built."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.test_operations_page import missing_links

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text()
BUSY = 0.7


def seconds(work: str) -> float:
    """Of a core for each picture in a full batch, as the page says that they were measured."""
    found = re.search(rf"^\| `{work}`[^|]*\| [^|]+ \| (\d+) ms", PAGE, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1000


def derived(line: str) -> list[float]:
    found = re.search(rf"^\| {line} \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert found is not None
    return [float(found[1]), float(found[2])]


def test_links_lead_somewhere() -> None:
    assert missing_links(PAGE, ROOT / "docs") == []


def test_the_table_follows_from_the_measured_figures() -> None:
    both = [seconds("/pose"), seconds("/segment")]
    assert derived("pictures per second for each core") == pytest.approx([BUSY / s for s in both], rel=0.02)
    assert derived("core hours for a million") == pytest.approx(
        [s * 1e6 / 3600 / BUSY for s in both], rel=0.02
    )
    assert derived("cores for 100 per second") == pytest.approx([100 * s / BUSY for s in both], rel=0.03)


def test_what_breaks_next_is_said_for_as_many_cores_as_the_formula_gives() -> None:
    cores = 1000 * seconds("/pose") / BUSY
    assert f"{round(cores)} cores, {round(cores / 4 + 0.5)} pods of 4" in " ".join(PAGE.split())
    assert f"**At a million per second**: {round(cores) * 1000:,} cores" in PAGE


def test_the_program_runs() -> None:
    program = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert program is not None
    command = [sys.executable, "-c", program[1]]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    works = ["/pose, 1", "/pose, 8", "/segment, 1", "/segment, 4"]
    for work, line in zip(works, said.splitlines(), strict=True):
        assert re.fullmatch(rf"{work} together: \d+ ms of a core for each picture", line)


def test_what_is_proved_on_ray_names_tests_that_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named <= set(re.findall(r"def (test_\w+)\(", (ROOT / "tests/ray/test_ray.py").read_text()))
    assert named


def test_the_overlay_can_be_built(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is missing: the overlay on the page is not built")
    overlay = re.search(r"```yaml\n(apiVersion.*?)```", PAGE, re.DOTALL)
    assert overlay is not None
    shutil.copytree(ROOT / "kubernetes", tmp_path / "kubernetes")
    (tmp_path / "kubernetes" / "own").mkdir()
    (tmp_path / "kubernetes" / "own" / "kustomization.yaml").write_text(overlay[1])
    command = ["kubectl", "kustomize", str(tmp_path / "kubernetes" / "own")]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (deployment,) = [one for one in yaml.safe_load_all(made) if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert (container["image"], len(container["env"])) == ("YOUR-REGISTRY/hrformer:0.1.0-cpu", 1)
