"""Errors to HTTP, once: RFC 9457 problem details with a stable ``code``."""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta

from app.disconnect import ClientGone
from domain import errors

PROBLEM_JSON = "application/problem+json"

_CLIENT_GONE = 499
_RETRY_SOON = 1.0
_NAMED_FIELD = re.compile(r"Object (?:contains )?(unknown|missing required) field `([^`]+)`")
_log = structlog.stdlib.get_logger("app.errors")

_STATUS: dict[type[errors.ParlanteError], int] = {
    errors.UploadTooLarge: 413,
    errors.UploadStalled: 408,
    errors.AudioTooLong: 413,
    errors.AudioInvalid: 422,
    errors.TextInvalid: 422,
    errors.RangeNotSatisfiable: 416,
    errors.KeyInvalid: 404,
    errors.InvalidRequest: 400,
    errors.NotFound: 404,
    errors.Unauthorized: 401,
    errors.SignatureInvalid: 403,
    errors.OriginNotAllowed: 403,
    errors.Unavailable: 503,
    errors.ParlanteError: 500,
}
_CODES = {
    400: "invalid_request", 404: "not_found", 405: "method_not_allowed",
    413: "upload_too_large", 415: "unsupported_media_type",
}  # fmt: skip


class InvalidField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the request that does not fit."""

    field: Annotated[str, Meta(description="Name of the field.")]
    message: Annotated[str, Meta(description="What was expected.")]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details (RFC 9457)."""

    title: Annotated[str, Meta(description="The status in words.")]
    status: Annotated[int, Meta(description="HTTP status.")]
    code: Annotated[str, Meta(description="Stable name of the error, for programs.")]
    detail: Annotated[str, Meta(description="What is wrong and what to do, for people.")]
    retryable: Annotated[bool, Meta(description="Whether the same request may succeed later.")]
    fields: Annotated[
        list[InvalidField] | msgspec.UnsetType, Meta(description="The fields that do not fit, where there are any.")
    ] = msgspec.UNSET


def problem_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Descriptions of error responses for OpenAPI; 500 is always among them."""
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, description=HTTPStatus(status).phrase, media_type=PROBLEM_JSON
        )
        for status in (*statuses, 500)
    }


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it is answered."""

    problem: Problem
    headers: dict[str, str]


def refusal(err: Exception) -> Refusal:
    """How an error is answered; what is no error of the domain or of HTTP is a bug, and says nothing of itself."""
    if isinstance(err, errors.ParlanteError):
        return _refuse_domain_error(err)
    if isinstance(err, HTTPException):
        return _refuse_http_error(err)
    return _refuse(500, "internal", "something went wrong inside the service; its log has the details")


def on_error(request: Request[Any, Any, Any], err: Exception) -> Response[Problem]:
    """Answer an error; log those that are not the caller's."""
    refused = refusal(err)
    status = refused.problem.status
    if not isinstance(err, errors.ParlanteError | HTTPException):
        _log.error("unexpected_error", exc_info=err)
    elif status >= 500:
        _log.warning("request_failed", code=refused.problem.code, status=status, cause=_cause(err))
    return Response(refused.problem, status_code=status, headers=refused.headers, media_type=PROBLEM_JSON)


def on_client_gone(request: Request[Any, Any, Any], err: ClientGone) -> Response[None]:
    """Close the books on a request that nobody waits for; the status is only for the log."""
    return Response(None, status_code=_CLIENT_GONE)


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {ClientGone: on_client_gone, Exception: on_error}


def _refuse_domain_error(err: errors.ParlanteError) -> Refusal:
    status = next(_STATUS[kind] for kind in type(err).__mro__ if kind in _STATUS)
    headers: dict[str, str] = {}
    if isinstance(err, errors.Unavailable):
        headers["Retry-After"] = str(math.ceil(max(err.retry_after, _RETRY_SOON)))
    if isinstance(err, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="parlante"'
    if isinstance(err, errors.RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{err.size}"
    return _refuse(status, err.code, err.message, retryable=err.retryable, headers=headers)


def _refuse_http_error(err: HTTPException) -> Refusal:
    """What Litestar found: a bad field, an unknown path, a wrong method."""
    fields = _invalid_fields(err)
    detail = "; ".join(f"{field.field}: {field.message}" for field in fields) or _detail(err)
    code = _CODES.get(err.status_code, "internal" if err.status_code >= 500 else "invalid_request")
    return _refuse(err.status_code, code, detail, headers=dict(err.headers or {}), fields=fields or msgspec.UNSET)


def _refuse(
    status: int,
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    headers: dict[str, str] | None = None,
    fields: list[InvalidField] | msgspec.UnsetType = msgspec.UNSET,
) -> Refusal:
    title = HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, code=code, detail=detail, retryable=retryable, fields=fields)
    return Refusal(problem=problem, headers=headers or {})


def _detail(err: HTTPException) -> str:
    """Litestar's own words, for errors that are the caller's only."""
    return err.detail if err.status_code < 500 else "something went wrong inside the service"


def _invalid_fields(err: HTTPException) -> list[InvalidField]:
    if not isinstance(err, ValidationException) or not isinstance(err.extra, list):
        return []
    return [_invalid_field(item) for item in err.extra if isinstance(item, dict)]


def _invalid_field(found: dict[str, Any]) -> InvalidField:
    message = str(found.get("message", "does not fit"))
    if named := _NAMED_FIELD.fullmatch(message):  # msgspec names the object that lacks it, or has it too much
        return InvalidField(field=named[2], message=f"{named[1]} field")
    return InvalidField(field=str(found.get("key") or "body"), message=message)


def _cause(err: BaseException) -> str | None:
    """The kind of error underneath; its text could hold a path or more."""
    return type(err.__cause__).__name__ if err.__cause__ else None
