"""``GET /health/live``, ``GET /health/ready``, ``GET /metrics``: for those who run the service."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Controller, MediaType, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation
from msgspec import Meta, Struct

from app.errors import problem_responses
from app.guards import PUBLIC
from app.openapi import PublicOperation
from app.telemetry.metrics import Metrics
from domain.use_cases.readiness import Readiness


class Liveness(Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Annotated[Literal["live"], Meta(description="Always `live`.")] = "live"


class PartState(Struct, frozen=True, kw_only=True):
    """Whether one part of the service works."""

    ready: Annotated[bool, Meta(description="Whether it can work now.")]
    detail: Annotated[str, Meta(description="`ok`, or why not.")]


class Ready(Struct, frozen=True, kw_only=True):
    """Whether the service can do its work now."""

    ready: Annotated[bool, Meta(description="Whether all parts can work now.")]
    parts: Annotated[dict[str, PartState], Meta(description="The parts by name.")]


class OperationController(Controller):
    """Health and metrics."""

    tags = ("Operation",)

    @get(
        "/health/live",
        operation_id="live",
        operation_class=PublicOperation,
        summary="Is the process alive",
        opt={PUBLIC: True},
        sync_to_thread=False,
    )
    def live(self) -> Liveness:
        """Answer 200 as long as the process can answer at all."""
        return Liveness()

    @get(
        "/health/ready",
        operation_id="ready",
        operation_class=PublicOperation,
        summary="Can the service work",
        opt={PUBLIC: True},
        responses={503: ResponseSpec(Ready, generate_examples=False, description="A part is not ready")},
    )
    async def ready(self, readiness: NamedDependency[SkipValidation[Readiness]]) -> Response[Ready]:
        """Answer 200 when models and storage answer, 503 with the part that does not."""
        parts = await readiness()
        ready = all(part.ready for part in parts.values())
        body = Ready(
            ready=ready,
            parts={name: PartState(ready=part.ready, detail=part.detail) for name, part in parts.items()},
        )
        return Response(body, status_code=200 if ready else 503)

    @get(
        "/metrics",
        operation_id="metrics",
        summary="Prometheus metrics",
        media_type=MediaType.TEXT,
        responses=problem_responses(401),
        sync_to_thread=False,
    )
    def metrics(self, telemetry: NamedDependency[SkipValidation[Metrics]]) -> str:
        """Answer the process's metrics in Prometheus's text format."""
        return telemetry.render().decode()
