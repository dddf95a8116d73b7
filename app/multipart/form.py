"""Fields of a multipart form as a struct."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import UploadFile
from litestar.exceptions import ValidationException

from app.multipart.reader import close_files, read_fields

FormT = TypeVar("FormT")


@asynccontextmanager
async def read_form(
    request: Request[Any, Any, Any], form: type[FormT], *, max_file: int, patience: float
) -> AsyncGenerator[FormT, None]:
    """Read a multipart form into a struct; its files are removed when the body ends.

    Raises:
        ValidationException: a field is missing, unknown, or does not fit.
        InvalidRequest, UploadTooLarge, UploadStalled, ClientGone: see ``read_fields``.
    """
    fields = await read_fields(request, max_file=max_file, patience=patience)
    try:
        yield _convert(fields, form)
    finally:
        await close_files(fields)


def _convert(fields: dict[str, str | UploadFile], form: type[FormT]) -> FormT:
    try:
        return msgspec.convert(fields, form, strict=False, dec_hook=_accept_file)
    except msgspec.ValidationError as err:
        message, _, where = str(err).partition(" - at `$.")
        raise ValidationException(
            "the form does not fit", extra=[{"key": where.rstrip("`"), "message": message}]
        ) from err


def _accept_file(expected: type[Any], value: Any) -> Any:
    if not isinstance(value, expected):
        raise ValueError("Expected a file, sent with a file name")  # noqa: TRY004 - msgspec's hook asks for it
    return value
