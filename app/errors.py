"""Errors to HTTP, once: RFC 9457 problem details with a stable ``code``."""

from __future__ import annotations

import math
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
_log = structlog.stdlib.get_logger("app.errors")

_STATUS: dict[type[errors.ParlanteError], int] = {
    errors.UploadTooLarge: 413,
    errors.AudioTooLong: 413,
    errors.AudioInvalid: 422,
    errors.TextInvalid: 422,
    errors.RangeNotSatisfiable: 416,
    errors.KeyInvalid: 404,
    errors.InvalidRequest: 400,
    errors.NotFound: 404,
    errors.Unauthorized: 401,
    errors.SignatureInvalid: 403,
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


def on_domain_error(request: Request[Any, Any, Any], err: errors.ParlanteError) -> Response[Problem]:
    """Answer an error of the domain."""
    status = next(_STATUS[kind] for kind in type(err).__mro__ if kind in _STATUS)
    headers: dict[str, str] = {}
    if isinstance(err, errors.Unavailable):
        headers["Retry-After"] = str(math.ceil(max(err.retry_after, _RETRY_SOON)))
    if isinstance(err, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="parlante"'
    if isinstance(err, errors.RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{err.size}"
    if status >= 500:
        _log.warning("request_failed", code=err.code, status=status, cause=_cause(err))
    return _answer(request, status, err.code, err.message, retryable=err.retryable, headers=headers)


def on_http_error(request: Request[Any, Any, Any], err: HTTPException) -> Response[Problem]:
    """Answer an error that Litestar found: a bad field, an unknown path, a wrong method."""
    fields = _invalid_fields(err)
    detail = "; ".join(f"{field.field}: {field.message}" for field in fields or []) or _detail(err)
    code = _CODES.get(err.status_code, "internal" if err.status_code >= 500 else "invalid_request")
    return _answer(
        request, err.status_code, code, detail, headers=dict(err.headers or {}), fields=fields or msgspec.UNSET
    )


def on_client_gone(request: Request[Any, Any, Any], err: ClientGone) -> Response[None]:
    """Close the books on a request that nobody waits for; the status is only for the log."""
    return Response(None, status_code=_CLIENT_GONE)


def on_bug(request: Request[Any, Any, Any], err: Exception) -> Response[Problem]:
    """Answer anything else: a bug. The log has the traceback, the response does not."""
    _log.error("unexpected_error", exc_info=err)
    return _answer(request, 500, "internal", "something went wrong inside the service; its log has the details")


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    errors.ParlanteError: on_domain_error,
    HTTPException: on_http_error,
    ClientGone: on_client_gone,
    Exception: on_bug,
}


def _answer(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    headers: dict[str, str] | None = None,
    fields: list[InvalidField] | msgspec.UnsetType = msgspec.UNSET,
) -> Response[Problem]:
    problem = Problem(
        title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, retryable=retryable, fields=fields
    )
    return Response(problem, status_code=status, headers=headers or {}, media_type=PROBLEM_JSON)


def _detail(err: HTTPException) -> str:
    """Litestar's own words, for errors that are the caller's only."""
    return err.detail if err.status_code < 500 else "something went wrong inside the service"


def _invalid_fields(err: HTTPException) -> list[InvalidField]:
    if not isinstance(err, ValidationException) or not isinstance(err.extra, list):
        return []
    return [
        InvalidField(field=str(item.get("key") or "body"), message=str(item.get("message", "does not fit")))
        for item in err.extra
        if isinstance(item, dict)
    ]


def _cause(err: BaseException) -> str | None:
    """The kind of error underneath; its text could hold a path or more."""
    return type(err.__cause__).__name__ if err.__cause__ else None
