"""Health, metrics, catalogue, and what every answer has."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.app.conftest import Service

OK = {"ready": True, "detail": "ok"}


# Health.


async def test_a_living_process_says_so_even_if_nothing_works(service: Service, stranger: httpx.AsyncClient) -> None:
    service.backends.store.down = True
    answer = await stranger.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


async def test_ready_when_models_and_storage_answer(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    parts = answer.json()["parts"]
    assert {"transcriber", "synthesizer", "object_store"} <= set(parts)
    assert all(part == OK for part in parts.values())


async def test_a_store_that_is_down_is_named(service: Service, stranger: httpx.AsyncClient) -> None:
    service.backends.store.down = True
    answer = await stranger.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    parts = answer.json()["parts"]
    assert parts.pop("object_store") == {"ready": False, "detail": "the object store does not answer"}
    assert all(part == OK for part in parts.values())


async def test_an_engine_that_is_down_is_named_until_it_is_back(service: Service, stranger: httpx.AsyncClient) -> None:
    service.backends.transcriber.sick = True
    answer = await stranger.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"]["transcriber"] == {"ready": False, "detail": "the engine is restarting"}
    service.backends.transcriber.sick = False
    assert (await stranger.get("/health/ready")).status_code == 200


# Catalogue.


async def test_voices_are_listed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/voices")
    assert answer.status_code == 200
    assert answer.json() == {
        "voices": [
            {"id": id_, "language": language, "model": "fake", "sample_rate": 22_050, "description": ""}
            for id_, language in (("fake-en", "en"), ("fake-es", "es"))
        ]
    }


async def test_engines_are_listed_with_what_they_can(client: httpx.AsyncClient, service: Service) -> None:
    service.backends.synthesizer.pitch = False
    answer = await client.get("/api/v1/models")
    assert answer.status_code == 200
    hears, speaks = answer.json()["models"]
    assert hears == {
        "task": "transcribe",
        "engine": "fake",
        "models": ["script"],
        "device": "cpu",
        "languages": ["en", "es"],
        "features": sorted(feature.value for feature in service.backends.transcriber.features),
    }
    assert speaks == {
        "task": "synthesize",
        "engine": "fake",
        "models": ["fake"],
        "device": "cpu",
        "languages": ["en", "es"],
        "features": [],
    }


# Metrics.


async def test_metrics_are_prometheus_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "\n# TYPE parlante_http_request_seconds histogram\n" in answer.text
    assert 'parlante_places_taken{use_case="transcribe"} 0.0' in answer.text
    assert 'parlante_places_taken{use_case="synthesize"} 0.0' in answer.text


async def test_requests_are_counted_by_the_templates_of_their_paths(
    service: Service, stranger: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    for path in ("/files/a", "/files/b/c", "/no/such", "/nothing", "/docs/assets/no.js", "/api/v1/voices"):
        await stranger.get(path)
    await stranger.request("BREW", "/api/v1/voices")
    await client.get("/api/v1/voices")

    def counted(method: str, route: str, status: int) -> str:
        return f'parlante_http_request_seconds_count{{method="{method}",route="{route}",status="{status}"}}'

    assert await service.metric(counted("GET", "/files/{key}", 403)) == 2
    assert await service.metric(counted("GET", "unmatched", 404)) == 2
    assert await service.metric(counted("GET", "/api/v1/voices", 401)) == 1
    assert await service.metric(counted("GET", "/api/v1/voices", 200)) == 1
    text = (await client.get("/metrics")).text
    assert "BREW" not in text
    assert "no/such" not in text


async def test_audio_and_stages_are_counted(service: Service, client: httpx.AsyncClient, recording: bytes) -> None:
    await client.post("/api/v1/transcribe", files={"audio_file": ("a.wav", recording)})
    await client.post("/api/v1/synthesize", json={"text": "Good morning.", "language": "en"})
    assert await service.metric("parlante_audio_transcribed_seconds_total") == pytest.approx(2.98, abs=0.05)
    for use_case, stages in {"transcribe": ["queue", "decode", "inference"], "synthesize": ["queue", "store"]}.items():
        for stage in stages:
            name = f'parlante_stage_seconds_count{{stage="{stage}",use_case="{use_case}"}}'
            assert await service.metric(name) >= 1


# Every answer.


@pytest.mark.parametrize("path", ["/health/live", "/api/v1/voices", "/no/such", "/docs", "/files/x", "/openapi.json"])
async def test_every_answer_has_a_request_id(stranger: httpx.AsyncClient, path: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", (await stranger.get(path)).headers["x-request-id"])
    given = {"X-Request-ID": "order-66"}
    assert (await stranger.get(path, headers=given)).headers["x-request-id"] == "order-66"


async def test_an_unknown_path_is_a_problem(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


async def test_a_wrong_method_is_a_problem_that_says_which_are_right(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.delete("/api/v1/voices")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "method_not_allowed"
    assert "GET" in answer.headers["allow"]


async def test_the_docs_need_nothing_from_anywhere_else(stranger: httpx.AsyncClient) -> None:
    page = await stranger.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    needed = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert needed
    for address in needed:
        assert not address.startswith(("http:", "https:", "//")), address
        if address.startswith("/"):
            assert (await stranger.get(address)).status_code == 200
