"""The dashboard as code: panels.yml → dashboards/service.json, which Grafana loads (`make dashboard`)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
FILE = HERE / "dashboards" / "service.json"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS = 24
SIZES = {"stat": (4, 4)}  # width and height by kind
USUAL_SIZE = (8, 8)

OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "colorMode": "value",
        "textMode": "value_and_name",
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "filterValues": {"le": 1e-9},
        "yAxis": {"unit": "s"},
    },
    "table": {"cellHeight": "sm", "showHeader": True},
}
FORMATS: dict[str, dict[str, Any]] = {
    "heatmap": {"format": "heatmap"},
    "table": {"format": "table", "instant": True, "range": False},
}


def places(sizes: Sequence[tuple[int, int]], top: int) -> Iterator[dict[str, int]]:
    """Where panels of these widths and heights lie: from left to right, then below."""
    x, y, tallest = 0, top, 0
    for width, height in sizes:
        if x + width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield {"x": x, "y": y, "w": width, "h": height}
        x, tallest = x + width, max(tallest, height)


def size_of(panel: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height in cells."""
    width, height = SIZES.get(panel.get("kind", "timeseries"), USUAL_SIZE)
    return panel.get("width", width), height


def drawn(panel: Mapping[str, Any], place: Mapping[str, int]) -> dict[str, Any]:
    """A panel as Grafana has it."""
    kind = panel.get("kind", "timeseries")
    targets = [
        {"datasource": SOURCE, "expr": promql, "legendFormat": legend, "refId": letter}
        | FORMATS.get(kind, {})
        for (legend, promql), letter in zip(panel["queries"].items(), "ABCDEF", strict=False)
    ]
    if panel.get("exemplars"):
        targets[-1]["exemplar"] = True  # of one query: those of the others are the same
    return {
        "title": panel["title"],
        "description": panel["text"],
        "type": kind,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.get("unit", "none"), "min": 0}, "overrides": []},
        "options": OPTIONS[kind],
        "targets": targets,
    }


def laid_out(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows and panels in their order."""
    top = 0
    for row in rows:
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"title": row["row"], "type": "row", "collapsed": False, "gridPos": place, "panels": []}
        sizes = [size_of(panel) for panel in row["panels"]]
        for panel, place in zip(row["panels"], places(sizes, top + 1), strict=True):
            yield drawn(panel, place)
            top = max(top, place["y"] + place["h"])


def dashboard() -> dict[str, Any]:
    """The whole of it. `filters` narrows every panel to an instance, or to any other value of a label."""
    filters = {"type": "adhoc", "name": "filters", "label": "Only", "datasource": SOURCE, "filters": []}
    rows = yaml.safe_load((HERE / "panels.yml").read_text(encoding="utf-8"))
    return {
        "uid": "hrformer-service",
        "title": "HRFormer service",
        "tags": ["hrformer"],
        "schemaVersion": 41,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [filters]},
        "annotations": {"list": []},
        "panels": [panel | {"id": number} for number, panel in enumerate(laid_out(rows), start=1)],
    }


def text() -> str:
    """As it is in the file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
