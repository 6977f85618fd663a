"""Log lines."""

import json
import logging

from service.logs import JsonLines


def line_of(**fields: object) -> dict[str, object]:
    record = logging.makeLogRecord(
        {"name": "service", "levelno": 20, "levelname": "INFO", "msg": "hello %s"} | fields
    )
    record.args = ("world",)
    line: dict[str, object] = json.loads(JsonLines().format(record))
    return line


def test_a_line_is_an_object_with_its_extra_fields() -> None:
    line = line_of(request_id="r1", stages_ms={"decode": 1.5})
    assert (line["message"], line["level"], line["logger"]) == ("hello world", "info", "service")
    assert (line["request_id"], line["stages_ms"]) == ("r1", {"decode": 1.5})
    assert str(line["time"]).endswith("+00:00")


def test_what_json_has_not_is_written_as_text() -> None:
    assert line_of(thing={1, 2})["thing"] == "{1, 2}"


def test_a_trace_stays_in_one_line() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        line = line_of(exc_info=(type(error), error, error.__traceback__))
    assert "ValueError: no" in str(line["trace"])
