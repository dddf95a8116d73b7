from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from litestar import Response
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from structlog.testing import capture_logs

from app.disconnect import ClientGone
from app.errors import EXCEPTION_HANDLERS, Problem
from domain import errors
from tests.unit.app.uploads import Upload

EVERY_ERROR: list[tuple[errors.ParlanteError, int, str, bool]] = [
    (errors.InvalidRequest("m"), 400, "invalid_request", False),
    (errors.UnsupportedLanguage("de", ["en"]), 400, "unsupported_language", False),
    (errors.UnsupportedOption("vad", "e"), 400, "unsupported_option", False),
    (errors.UnknownVoice("m"), 400, "unknown_voice", False),
    (errors.TextTooLong("m"), 400, "text_too_long", False),
    (errors.Unauthorized("m"), 401, "unauthorized", False),
    (errors.OriginNotAllowed("m"), 403, "origin_not_allowed", False),
    (errors.SignatureInvalid("m"), 403, "signature_invalid", False),
    (errors.NotFound("m"), 404, "not_found", False),
    (errors.KeyInvalid("m"), 404, "key_invalid", False),
    (errors.AudioTooLong("m"), 413, "audio_too_long", False),
    (errors.UploadTooLarge("m"), 413, "upload_too_large", False),
    (errors.UploadStalled("m"), 408, "upload_stalled", True),
    (errors.RangeNotSatisfiable(5), 416, "range_not_satisfiable", False),
    (errors.TextInvalid("m"), 422, "text_invalid", False),
    (errors.AudioInvalid("m"), 422, "audio_invalid", False),
    (errors.AudioEmpty("m"), 422, "audio_empty", False),
    (errors.AudioTruncated("m"), 422, "audio_truncated", False),
    (errors.EngineFailed("m"), 500, "engine_failed", True),
    (errors.Unavailable("m"), 503, "unavailable", True),
    (errors.Overloaded("m"), 503, "overloaded", True),
    (errors.StorageUnavailable("m"), 503, "storage_unavailable", True),
    (errors.EngineUnavailable("m"), 503, "engine_unavailable", True),
    (errors.ServiceStopping("m"), 503, "service_stopping", True),
    (errors.DeadlineExceeded("m"), 503, "deadline_exceeded", True),
    (errors.ParlanteError("m"), 500, "internal", False),
]
LIVE_ONLY = {"ClientNotReading", "MessageInvalid", "MessageTooLarge", "RateExceeded", "StreamIdle"}
"""Errors that end a live stream and answer no request."""


def answer(err: Exception) -> Response[Any]:
    handler = next(EXCEPTION_HANDLERS[kind] for kind in type(err).__mro__ if kind in EXCEPTION_HANDLERS)
    response: Response[Any] = handler(Upload([]).request, err)
    return response


def classes(of: type[errors.ParlanteError]) -> Iterator[type[errors.ParlanteError]]:
    yield of
    for kind in of.__subclasses__():
        yield from classes(kind)


@pytest.mark.parametrize(("err", "status", "code", "retryable"), EVERY_ERROR, ids=lambda value: type(value).__name__)
def test_each_error_has_its_status_and_code(err: errors.ParlanteError, status: int, code: str, retryable: bool) -> None:
    response = answer(err)
    assert response.status_code == status
    assert response.media_type == "application/problem+json"
    assert response.content == Problem(
        title=HTTPStatus(status).phrase, status=status, code=code, detail=err.message, retryable=retryable
    )


def test_every_error_that_a_request_can_meet_is_among_them() -> None:
    start_only = set(classes(errors.StartError))
    ours = {kind for kind in classes(errors.ParlanteError) if kind.__module__ == "domain.errors"}
    answered = {kind for kind in ours - start_only if kind.__name__ not in LIVE_ONLY}
    assert {type(err) for err, *_ in EVERY_ERROR} == answered


def test_codes_are_unique() -> None:
    kinds = {kind for kind in classes(errors.ParlanteError) if kind.__module__ == "domain.errors"}
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(("seconds", "header"), [(5.0, "5"), (2.1, "3"), (0.0, "1"), (90.0, "90")])
def test_what_is_unavailable_says_when_to_try_again_in_whole_seconds(seconds: float, header: str) -> None:
    assert answer(errors.Overloaded("m", retry_after=seconds)).headers["Retry-After"] == header


def test_only_what_is_unavailable_says_when_to_try_again() -> None:
    saying = {err.code for err, *_ in EVERY_ERROR if "Retry-After" in answer(err).headers}
    assert saying == {err.code for err, status, *_ in EVERY_ERROR if status == 503}


def test_who_has_no_key_is_told_how_to_give_one() -> None:
    assert answer(errors.Unauthorized("m")).headers["WWW-Authenticate"] == 'Bearer realm="parlante"'


def test_a_range_past_the_end_is_told_the_size() -> None:
    assert answer(errors.RangeNotSatisfiable(1234)).headers["Content-Range"] == "bytes */1234"


def test_the_cause_of_an_error_is_not_in_the_answer_and_only_its_kind_in_the_log() -> None:
    err = errors.StorageUnavailable("the store does not answer")
    err.__cause__ = OSError("/srv/secret/path: password=hunter2")
    with capture_logs() as logs:
        response = answer(err)
    assert b"hunter2" not in msgspec.json.encode(response.content)
    assert logs == [
        {
            "event": "request_failed",
            "log_level": "warning",
            "code": "storage_unavailable",
            "status": 503,
            "cause": "OSError",
        }
    ]


def test_an_error_of_the_caller_is_no_line_in_the_log() -> None:
    with capture_logs() as logs:
        answer(errors.TextInvalid("m"))
    assert logs == []


def test_a_bug_is_a_500_that_says_nothing_and_a_log_that_says_all() -> None:
    bug = ZeroDivisionError("in /srv/app.py with password=hunter2")
    with capture_logs() as logs:
        response = answer(bug)
    assert response.status_code == 500
    body = msgspec.json.encode(response.content)
    assert b"hunter2" not in body
    assert b"ZeroDivision" not in body
    assert msgspec.json.decode(body)["code"] == "internal"
    assert logs == [{"event": "unexpected_error", "log_level": "error", "exc_info": bug}]


def test_a_client_that_is_gone_is_answered_nothing() -> None:
    response = answer(ClientGone())
    assert (response.status_code, response.content) == (499, None)


@pytest.mark.parametrize(
    ("err", "status", "code"),
    [
        (NotFoundException(), 404, "not_found"),
        (MethodNotAllowedException(), 405, "method_not_allowed"),
        (HTTPException(status_code=413), 413, "upload_too_large"),
        (HTTPException(status_code=415), 415, "unsupported_media_type"),
        (ValidationException("bad"), 400, "invalid_request"),
        (HTTPException(status_code=418, detail="short and stout"), 418, "invalid_request"),
    ],
)
def test_errors_of_the_framework_are_problems_too(err: HTTPException, status: int, code: str) -> None:
    response = answer(err)
    assert (response.status_code, response.media_type) == (status, "application/problem+json")
    assert (response.content.status, response.content.code, response.content.retryable) == (status, code, False)


def test_an_error_inside_the_framework_says_nothing() -> None:
    response = answer(InternalServerException("/srv/app.py broke"))
    assert response.status_code == 500
    assert b"/srv" not in msgspec.json.encode(response.content)


def test_fields_that_do_not_fit_are_listed_and_told() -> None:
    extra = [{"key": "speed", "message": "Expected `float` <= 2.0", "source": "body"}, {"message": "what?"}]
    problem = answer(ValidationException("bad", extra=extra)).content
    assert problem.detail == "speed: Expected `float` <= 2.0; body: what?"
    assert [(field.field, field.message) for field in problem.fields or []] == [
        ("speed", "Expected `float` <= 2.0"),
        ("body", "what?"),
    ]


def test_without_such_fields_there_is_no_list() -> None:
    body = msgspec.json.decode(msgspec.json.encode(answer(NotFoundException()).content))
    assert set(body) == {"title", "status", "code", "detail", "retryable"}
