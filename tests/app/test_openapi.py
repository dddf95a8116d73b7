"""``/openapi.json``: what generated clients are made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

Operation = dict[str, Any]

OPERATIONS = {
    "transcribe": ("post", "/api/v1/transcribe", {200, 400, 401, 413, 415, 422, 500, 503}),
    "synthesize": ("post", "/api/v1/synthesize", {201, 400, 401, 413, 415, 422, 500, 503}),
    "listVoices": ("get", "/api/v1/voices", {200, 401}),
    "listModels": ("get", "/api/v1/models", {200, 401}),
    "live": ("get", "/health/live", {200}),
    "ready": ("get", "/health/ready", {200, 503}),
    "metrics": ("get", "/metrics", {200, 401}),
    "downloadFile": ("get", "/files/{key}", {200, 206, 400, 403, 404, 416, 503}),
    "statFile": ("head", "/files/{key}", {200, 400, 403, 404, 503}),
}
"""Names that generated clients call, where they lead, and the least that each documents."""

PUBLIC = {"live", "ready", "downloadFile", "statFile"}


@pytest.fixture
async def document(stranger: httpx.AsyncClient) -> dict[str, Any]:
    answer = await stranger.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    parsed: dict[str, Any] = answer.json()
    return parsed


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def by_id(document: dict[str, Any]) -> dict[str, Operation]:
    return {operation["operationId"]: operation for *_, operation in operations(document)}


async def test_operations_have_unique_names(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for *_, operation in operations(document)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_name_of_an_operation_never_changes(document: dict[str, Any], name: str) -> None:
    method, path, _ = OPERATIONS[name]
    assert document["paths"][path][method]["operationId"] == name


async def test_the_pages_of_the_docs_are_no_operations(document: dict[str, Any]) -> None:
    assert not [path for path in document["paths"] if path.startswith(("/docs", "/openapi"))]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_answer_of_an_operation_is_documented(document: dict[str, Any], name: str) -> None:
    responses = by_id(document)[name]["responses"]
    assert {int(status) for status in responses} >= OPERATIONS[name][2]
    assert all(response["description"] for response in responses.values())


async def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for *_, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and operation["operationId"] != "ready":
                (content,) = response["content"].items()
                assert content[0] == "application/problem+json"
                assert content[1]["schema"]["$ref"].endswith("/Problem")


async def test_problems_are_described(document: dict[str, Any]) -> None:
    problem = document["components"]["schemas"]["Problem"]
    assert set(problem["required"]) == {"title", "status", "code", "detail", "retryable"}
    assert all(field.get("description") or "$ref" in field for field in problem["properties"].values())


async def test_whatever_needs_a_key_says_so_and_documents_the_401(document: dict[str, Any]) -> None:
    for *_, operation in operations(document):
        if operation["operationId"] not in PUBLIC:
            assert operation.get("security", document["security"]) == [{"apiKey": []}, {"bearer": []}]
            assert "401" in operation["responses"], operation["operationId"]


async def test_what_is_public_says_that_it_needs_no_key(document: dict[str, Any]) -> None:
    for name in PUBLIC:
        operation = by_id(document)[name]
        assert operation.get("security", document["security"]) in ([], [{}]), name
        assert "401" not in operation["responses"]


async def test_the_two_ways_to_give_a_key_are_described(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["apiKey"] == {"type": "apiKey", "name": "X-API-Key", "in": "header"}
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")


async def test_every_operation_is_summed_up_described_and_sorted(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for *_, operation in operations(document):
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags


async def test_the_upload_is_a_binary_file_in_a_form(document: dict[str, Any]) -> None:
    body = by_id(document)["transcribe"]["requestBody"]
    assert body["required"] is True
    (schema,) = [content["schema"] for kind, content in body["content"].items() if kind == "multipart/form-data"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert schema["required"] == ["audio_file"]
    assert schema["properties"]["audio_file"]["format"] == "binary"
    assert set(schema["properties"]) == {
        "audio_file", "language", "task", "word_timestamps", "prompt", "hotwords", "vad", "temperature", "beam_size",
    }  # fmt: skip


async def test_every_field_of_every_answer_is_described(document: dict[str, Any]) -> None:
    for name in ("Transcription", "TranscriptionSegment", "TranscriptionWord", "Speech", "SpeechOrder", "VoiceEntry"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            assert "description" in str(schema) or "$ref" in schema, f"{name}.{field}"


async def test_it_names_the_service_and_its_licence(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Parlante"
    assert document["info"]["license"]["identifier"] == "Apache-2.0"
