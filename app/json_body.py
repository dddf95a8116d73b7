"""JSON bodies: said to be JSON, and in UTF-8."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.exceptions import ClientException


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body is JSON; Litestar's own passes over the content type and fails on what is not UTF-8."""

    async def json(self) -> Any:
        """Decode the body.

        Raises:
            ClientException: 415 where another content type is given, 400 where it is not JSON in UTF-8.
        """
        content_type, _ = self.content_type
        if content_type not in {"application/json", ""} and not content_type.endswith("+json"):
            raise ClientException("send the body as application/json", status_code=415)
        try:
            return await super().json()
        except UnicodeDecodeError as err:
            raise ClientException("the body is not JSON in UTF-8") from err
