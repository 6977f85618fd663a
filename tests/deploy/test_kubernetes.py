"""The manifests: valid for Kubernetes, in agreement with each other and with the service, least privilege."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings, read_settings
from tests.deploy.kustomize import Resource, built, patched, read_plan
from tests.deploy.test_operations_page import COMPOSE, longest_stop_s

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "kubernetes"
VERSIONS = ("1.30", "1.37")  # the first with `preStop: sleep`, and the newest
CUSTOM = {
    "ServiceMonitor",
    "InferenceService",
}  # no part of Kubernetes: their schemas come with their operators
KSERVE: Resource = yaml.safe_load((KUBERNETES / "kserve" / "inferenceservice.yaml").read_text())


FOLDERS: dict[str, list[Resource]] = {
    "base": built(KUBERNETES / "base"),
    "gpu": built(KUBERNETES / "gpu"),
    "keys": patched(built(KUBERNETES / "base"), KUBERNETES / "keys", read_plan(KUBERNETES / "keys")),
}


def one(folder: str, kind: str) -> Resource:
    (found,) = [resource for resource in FOLDERS[folder] if resource["kind"] == kind]
    return found


def pods() -> dict[str, dict[str, Any]]:
    """The specification of the pod that each folder runs."""
    described = {folder: one(folder, "Deployment")["spec"]["template"]["spec"] for folder in FOLDERS}
    return described | {"kserve": KSERVE["spec"]["predictor"]}


PODS = pods()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_kubernetes_accepts_every_resource(folder: str, version: str) -> None:
    for resource in FOLDERS[folder]:
        if resource["kind"] not in CUSTOM:
            kubernetes_validate.validate(resource, version, strict=True)


def test_kubernetes_accepts_the_pod_that_kserve_runs() -> None:
    own = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"}
    pod = {name: value for name, value in KSERVE["spec"]["predictor"].items() if name not in own}
    resource = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hrformer"}, "spec": pod}
    kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubectl_makes_of_the_folders_what_these_tests_read(folder: str, tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is missing; the folders are read by tests/deploy/kustomize.py alone")
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    with_keys = tmp_path / "kubernetes" / "overlay"
    with_keys.mkdir()
    (with_keys / "kustomization.yaml").write_text("resources: [../base]\ncomponents: [../keys]\n")
    path = with_keys if folder == "keys" else tmp_path / "kubernetes" / folder
    command = ["kubectl", "kustomize", str(path)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    by_kind = {resource["kind"]: resource for resource in yaml.safe_load_all(made)}
    assert by_kind == {resource["kind"]: resource for resource in FOLDERS[folder]}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_rights(name: str) -> None:
    pod, container = PODS[name], PODS[name]["containers"][0]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_the_time_to_answer_what_it_took(name: str) -> None:
    sleep_s = PODS[name]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert sleep_s + longest_stop_s() <= PODS[name]["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", PODS)
def test_probes_ask_the_routes_of_the_contract(name: str) -> None:
    container = PODS[name]["containers"][0]
    asked = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    assert asked["readinessProbe"] == asked.get("startupProbe", "/readyz") == "/readyz"
    assert asked["livenessProbe"] == "/livez"


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_the_memory_that_the_alert_knows(name: str) -> None:
    limit = PODS[name]["containers"][0]["resources"]["limits"]["memory"]
    assert limit == COMPOSE["services"]["service"]["mem_limit"].replace("g", "Gi")


@pytest.mark.parametrize("name", PODS)
def test_a_pod_tells_the_service_nothing_that_it_does_not_know(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [variable for variable in os.environ if variable.startswith("HRFORMER_")]:
        monkeypatch.delenv(variable)
    for entry in PODS[name]["containers"][0].get("env", []):
        monkeypatch.setenv(entry["name"], entry["value"])
    assert isinstance(read_settings({}), Settings)
    # Kubernetes would tell of a service called hrformer by HRFORMER_PORT=tcp://…
    assert PODS[name]["enableServiceLinks"] is False


@pytest.mark.parametrize("folder", FOLDERS)
def test_everything_means_the_pods_of_the_deployment(folder: str) -> None:
    label = {"app.kubernetes.io/name": "hrformer"}
    assert one(folder, "Deployment")["spec"]["template"]["metadata"]["labels"] == label
    assert one(folder, "Service")["spec"]["selector"] == one(folder, "Service")["metadata"]["labels"] == label
    assert one(folder, "NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": label}
    for kind in ("PodDisruptionBudget", "ServiceMonitor", "Deployment"):
        assert one(folder, kind)["spec"]["selector"] == {"matchLabels": label}


def test_the_monitor_gives_the_job_that_the_alerts_ask_for() -> None:
    monitor, service = one("base", "ServiceMonitor")["spec"], one("base", "Service")
    rules = (ROOT / "docker" / "prometheus" / "alerts.yml").read_text()
    assert service["metadata"]["labels"][monitor["jobLabel"]] in re.findall(r'job="(\w+)"', rules)
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_the_autoscaler_asks_for_what_the_adapter_hands_on() -> None:
    metric = one("base", "HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"]["name"]
    adapter = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())
    assert adapter["rules"]["custom"][0]["seriesQuery"].startswith(f"{metric}{{")
    target = one("base", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == one("base", "Deployment")["metadata"]["name"]


def test_the_gpu_folder_takes_one_card_and_the_image_for_it() -> None:
    container = PODS["gpu"]["containers"][0]
    assert (container["image"], container["resources"]["limits"]["nvidia.com/gpu"]) == ("hrformer:cuda", 1)
    assert PODS["base"]["containers"][0]["image"] == "hrformer:cpu"


def test_keys_are_read_from_where_the_secret_is_mounted() -> None:
    container = PODS["keys"]["containers"][0]
    (entry,) = container["env"]
    assert entry["value"] == f"{container['volumeMounts'][-1]['mountPath']}/keys.txt"
