"""The service's own description: ``/openapi.json``, and ``/docs`` to try it in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components, License, Operation, SecurityScheme, Tag
from litestar.static_files import create_static_files_router

from app.guards import PUBLIC

_DESCRIPTION = """Speech to text and text to speech on your own machines.

Every request but health, docs and signed links needs an API key, as `X-API-Key` or as a bearer token. Errors are
problem details (RFC 9457) with a stable `code`; `Retry-After` says when a 503 is worth another try.
"""


_ASSETS = Path(__file__).parent / "assets" / "swagger-ui"
_DOCS_PATH = "/docs"
_ASSETS_PATH = f"{_DOCS_PATH}/assets"


@dataclass
class PublicOperation(Operation):
    """An operation that needs no key, as the document says it: an empty list of security requirements."""

    def __post_init__(self) -> None:
        self.security = []


@get("/openapi.json", opt={PUBLIC: True}, include_in_schema=False, media_type=MediaType.JSON, sync_to_thread=False)
def openapi_document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Answer the OpenAPI document."""
    return request.app.openapi_schema.to_schema()


def docs_assets() -> Router:
    """Serves Swagger UI's own files, so that ``/docs`` needs no network."""
    return create_static_files_router(
        _ASSETS_PATH, directories=[_ASSETS], opt={PUBLIC: True}, include_in_schema=False, name="docs-assets"
    )


def openapi_config() -> OpenAPIConfig:
    """Configuration of the OpenAPI document and its pages."""
    return OpenAPIConfig(
        title="Parlante",
        version=version("parlante"),
        description=_DESCRIPTION,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        openapi_router=Router(_DOCS_PATH, route_handlers=[], opt={PUBLIC: True}, include_in_schema=False),
        render_plugins=[_swagger()],
        components=Components(
            security_schemes={
                "apiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
                "bearer": SecurityScheme(type="http", scheme="bearer"),
            }
        ),
        security=[{"apiKey": []}, {"bearer": []}],
        tags=[
            Tag("Speech to text", "What is said in a recording."),
            Tag("Text to speech", "A text, spoken."),
            Tag("Catalog", "What the service can do."),
            Tag("Files", "Audio by signed links."),
            Tag("Operation", "Health and metrics."),
        ],
        use_handler_docstrings=True,
    )


def _swagger() -> SwaggerRenderPlugin:
    return SwaggerRenderPlugin(
        path="/",
        favicon="<link rel='icon' href='data:,'>",
        js_url=f"{_ASSETS_PATH}/swagger-ui-bundle.js",
        css_url=f"{_ASSETS_PATH}/swagger-ui.css",
        standalone_preset_js_url=f"{_ASSETS_PATH}/swagger-ui-standalone-preset.js",
    )
