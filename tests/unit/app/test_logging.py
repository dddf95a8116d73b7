from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator
from typing import Any

import msgspec
import pytest
import structlog

from app.settings.schema import Logs
from app.telemetry.logging import configure_logging

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _as_it_was() -> Generator[None, None, None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = ("app", "domain", "adapters", "_granian", "granian", "granian.access")
    levels = {name: (logging.getLogger(name).level, logging.getLogger(name).handlers[:]) for name in names}
    yield
    root.handlers[:], root.level = handlers, level
    for name, (old_level, old_handlers) in levels.items():
        logging.getLogger(name).setLevel(old_level)
        logging.getLogger(name).handlers[:] = old_handlers
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Reads what was logged."""

    def read() -> list[dict[str, Any]]:
        captured = capsys.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


def configure(level: str = "info", form: str = "json") -> None:
    configure_logging(msgspec.convert({"format": form, "level": level}, Logs))


def fail_with_a_secret() -> None:
    secret = "hunter2" + "x" * 10
    text_to_speak = secret.upper()
    raise ZeroDivisionError(f"nothing of {len(text_to_speak)}")


def test_a_line_is_one_json_object_on_standard_error(lines: Lines) -> None:
    configure()
    structlog.stdlib.get_logger("app.test").info("something_happened", number=3)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "something_happened", "level": "info", "logger": "app.test", "number": 3}


def test_what_is_bound_to_the_request_is_in_the_line(lines: Lines) -> None:
    configure()
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.stdlib.get_logger("app.test").info("something_happened")
    assert lines()[0]["request_id"] == "r1"


def test_lines_of_the_standard_library_look_the_same(lines: Lines) -> None:
    configure()
    structlog.contextvars.bind_contextvars(request_id="r1")
    logging.getLogger("adapters.test").warning("it is %s", "late")
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("it is late", "warning", "adapters.test")
    assert line["request_id"] == "r1"


def test_libraries_speak_only_when_something_is_wrong(lines: Lines) -> None:
    configure()
    logging.getLogger("botocore.client").info("chatter")
    logging.getLogger("botocore.client").warning("trouble")
    assert [line["event"] for line in lines()] == ["trouble"]


def test_lines_below_the_level_are_left_out(lines: Lines) -> None:
    configure(level="error")
    structlog.stdlib.get_logger("app.test").warning("quiet")
    structlog.stdlib.get_logger("app.test").error("loud")
    assert [line["event"] for line in lines()] == ["loud"]


def test_configured_twice_it_writes_each_line_once(lines: Lines) -> None:
    configure()
    configure()
    structlog.stdlib.get_logger("app.test").info("once")
    assert len(lines()) == 1


def test_the_traceback_of_a_bug_is_in_its_line(lines: Lines) -> None:
    configure()
    try:
        fail_with_a_secret()
    except ZeroDivisionError as err:
        structlog.stdlib.get_logger("app.test").error("unexpected_error", exc_info=err)
    (line,) = lines()
    assert "ZeroDivisionError" in json.dumps(line)
    assert "fail_with_a_secret" in json.dumps(line)


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure(form=form)
    try:
        fail_with_a_secret()
    except ZeroDivisionError as err:
        structlog.stdlib.get_logger("app.test").error("unexpected_error", exc_info=err)
        logging.getLogger("adapters.test").exception("trouble")
    written = capsys.readouterr().err
    assert "fail_with_a_secret" in written
    assert "hunter2" not in written
    assert "HUNTER2" not in written


def test_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure(form="console")
    structlog.stdlib.get_logger("app.test").info("something_happened", number=3)
    written = capsys.readouterr().err
    assert "something_happened" in written
    assert "number=3" in written
    assert not written.startswith("{")
