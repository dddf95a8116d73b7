"""What a multipart form looks like in OpenAPI, from the struct that it is read into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.datastructures import UploadFile
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody


def multipart_operation(form: type[msgspec.Struct]) -> type[Operation]:
    """An OpenAPI operation whose request body is the given form, its upload marked as a binary file."""
    body = RequestBody(
        required=True,
        content={"multipart/form-data": OpenAPIMediaType(schema=_schema(form))},  # type: ignore[arg-type]
    )

    @dataclass
    class MultipartOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return MultipartOperation


def _schema(form: type[msgspec.Struct]) -> dict[str, Any]:
    (_, components) = msgspec.json.schema_components([form], schema_hook=_file)
    schema: dict[str, Any] = components[form.__name__]
    schema["properties"] = {name: _without_null(field) for name, field in schema["properties"].items()}
    return schema


def _file(kind: type[Any]) -> dict[str, Any]:
    if kind is UploadFile:
        return {"type": "string", "format": "binary"}
    raise NotImplementedError(kind)


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A form has no null: a field that may be null is one that may be left out."""
    choices = [choice for choice in field.pop("anyOf", []) if choice != {"type": "null"}]
    for choice in choices:
        field.update(choice)
    if field.get("default", ...) is None:
        del field["default"]
    return field
