"""`SECURITY.md`: its key opens the service, its proxy starts, what it names is there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.access import ApiKeys
from service.problems import Problem
from service.settings import Settings
from tests.deploy.test_operations_page import missing_links
from tests.service.certificates import made

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()


def snippet(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_links_and_files_lead_somewhere() -> None:
    assert missing_links(PAGE, ROOT) == []
    named = re.findall(r"`((?:tests|kubernetes)/[\w/.]+)`", PAGE)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_settings_that_it_names_are_settings() -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE))
    assert named - Settings.model_fields.keys() == set()


def test_the_key_that_it_makes_opens_the_service_and_no_other_does(tmp_path: Path) -> None:
    script = f'{snippet("sh")}\nprintf %s "$key"'
    key = subprocess.run(["sh", "-euc", script], cwd=tmp_path, capture_output=True, text=True).stdout
    keys = ApiKeys(tmp_path / "keys.txt")
    keys.check({"authorization": f"Bearer {key}"})
    assert key not in (tmp_path / "keys.txt").read_text()
    with pytest.raises(Problem):
        keys.check({"authorization": f"Bearer {key}x"})


def test_nginx_accepts_the_proxy(tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is missing: its configuration in SECURITY.md is not checked")
    files = made(tmp_path / "tls")
    config = snippet("nginx").replace("/etc/ssl/hrformer/fullchain.pem", str(files.certificate))
    config = config.replace("/etc/ssl/hrformer/key.pem", str(files.key))
    whole = f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{config}\n}}\n"
    (tmp_path / "nginx.conf").write_text(whole)
    answer = subprocess.run([nginx, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True)
    assert "syntax is ok" in answer.stderr, answer.stderr  # whether its folders are there is not ours
