from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import pytest
from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException

from app.disconnect import ClientGone
from app.multipart.reader import Fields, close_files, read_fields
from domain.errors import InvalidRequest, UploadStalled, UploadTooLarge
from tests.unit.app.uploads import BOUNDARY, CONTENT_TYPE, Upload, body, part, pieces

SOUND = bytes(range(256)) * 40 + b"\r\n--not the frontier\r\n--front"
FORM = body(part("language", "es"), part("audio_file", SOUND, filename="a.wav", kind="audio/wav"), part("task", "x"))
MIB = 2**20


@pytest.fixture(autouse=True)
async def files(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[list[UploadFile], None]:
    """Every file that was made."""
    made: list[UploadFile] = []

    class Noted(UploadFile):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr("app.multipart.reader.UploadFile", Noted)
    yield made
    for file in made:
        file.file.close()


def closed(files: list[UploadFile]) -> list[bool]:
    return [file.file.closed for file in files]


async def read(upload: Upload, *, max_file: int = MIB, patience: float = 5.0) -> Fields:
    return await read_fields(upload.request, max_file=max_file, patience=patience)


async def content_of(field: str | UploadFile) -> bytes:
    assert isinstance(field, UploadFile)
    return await field.read()


def endless(piece: bytes) -> Iterable[bytes]:
    return itertools.repeat(piece)


# What it reads.


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12, 64, 1000, 4096, len(FORM)])
async def test_pieces_of_any_size_make_the_same_form(size: int) -> None:
    fields = await read(Upload(pieces(FORM, size)))
    assert list(fields) == ["language", "audio_file", "task"]
    assert (fields["language"], fields["task"]) == ("es", "x")
    assert await content_of(fields["audio_file"]) == SOUND


async def test_a_file_keeps_its_name_and_its_type() -> None:
    file = (await read(Upload([FORM])))["audio_file"]
    assert isinstance(file, UploadFile)
    assert (file.filename, file.content_type) == ("a.wav", "audio/wav")


async def test_a_file_without_a_type_is_bytes() -> None:
    file = (await read(Upload([body(part("f", b"x", filename="f"))])))["f"]
    assert isinstance(file, UploadFile)
    assert file.content_type == "application/octet-stream"


async def test_an_empty_file_is_a_file() -> None:
    assert await content_of((await read(Upload([body(part("f", b"", filename="f"))])))["f"]) == b""


async def test_an_empty_field_is_left_out() -> None:
    fields = await read(Upload([body(part("language", ""), part("task", "x"))]))
    assert fields == {"task": "x"}


async def test_text_is_utf_8() -> None:
    assert (await read(Upload([body(part("prompt", "¿Qué tal, señor?"))]))) == {"prompt": "¿Qué tal, señor?"}


@pytest.mark.parametrize(
    "content_type", [f"Multipart/Form-Data; boundary={BOUNDARY}", f"{CONTENT_TYPE}; charset=utf-8"]
)
async def test_the_content_type_may_be_written_in_other_ways(content_type: str) -> None:
    assert "audio_file" in await read(Upload([FORM], content_type=content_type))


@pytest.mark.parametrize(("size", "on_disk"), [(MIB, False), (MIB + 1, True)])
async def test_a_file_goes_to_disk_beyond_one_mebibyte(size: int, on_disk: bool) -> None:
    sound = b"s" * size
    form = body(part("f", sound, filename="f"))
    file = (await read(Upload(pieces(form, 65_536)), max_file=2 * MIB))["f"]
    assert isinstance(file, UploadFile)
    assert file.rolled_to_disk is on_disk
    assert await file.read() == sound


async def test_closing_the_files_of_a_form_closes_each(files: list[UploadFile]) -> None:
    fields = await read(Upload([body(part("a", b"1", filename="a"), part("b", b"2", filename="b"), part("c", "3"))]))
    assert closed(files) == [False, False]
    await close_files(fields)
    assert closed(files) == [True, True]


# Limits: they hold while the bytes come in, not after.


async def test_a_file_of_the_greatest_size_is_taken_and_one_byte_more_is_not() -> None:
    assert await read(Upload([body(part("f", b"s" * 1000, filename="f"))]), max_file=1000)
    with pytest.raises(UploadTooLarge, match="more than 1000 bytes"):
        await read(Upload([body(part("f", b"s" * 1001, filename="f"))]), max_file=1000)


async def test_an_endless_file_is_refused_as_soon_as_the_limit_is_passed(files: list[UploadFile]) -> None:
    head = f"--{BOUNDARY}\r\n".encode() + part("f", b"", filename="f")
    upload = Upload(itertools.chain([head], endless(b"s" * 10_000)))
    with pytest.raises(UploadTooLarge):
        await read(upload, max_file=100_000)
    assert 100_000 < upload.consumed <= 120_000
    assert closed(files) == [True]


async def test_the_limit_is_for_all_files_together() -> None:
    parts = [part(name, b"s" * 400, filename=name) for name in "abc"]
    with pytest.raises(UploadTooLarge):
        await read(Upload([body(*parts)]), max_file=1000)


async def test_an_upload_that_announces_too_much_is_refused_before_a_byte_is_read() -> None:
    upload = Upload([FORM], content_length=10 * MIB)
    with pytest.raises(UploadTooLarge):
        await read(upload, max_file=MIB)
    assert upload.consumed == 0


async def test_an_endless_text_is_refused_as_soon_as_the_limit_is_passed(files: list[UploadFile]) -> None:
    head = body(part("f", b"s", filename="f"))[: -len(f"--{BOUNDARY}--\r\n")]
    head += f"--{BOUNDARY}\r\n".encode() + part("prompt", "")
    upload = Upload(itertools.chain([head], endless(b"a" * 10_000)))
    with pytest.raises(UploadTooLarge, match="'prompt' has more than 65536 bytes"):
        await read(upload)
    assert upload.consumed <= 90_000
    assert closed(files) == [True]


async def test_a_text_of_the_greatest_size_is_taken() -> None:
    assert len(str((await read(Upload([body(part("prompt", "a" * 65_536))])))["prompt"])) == 65_536


@pytest.mark.parametrize("before", [b"", body()], ids=["before the form", "after the form"])
async def test_endless_bytes_outside_of_any_field_are_refused(before: bytes) -> None:
    upload = Upload(itertools.chain([before or b"\n"], endless(b"a" * 100_000)))
    with pytest.raises(UploadTooLarge):
        await read(upload, max_file=1000)
    assert upload.consumed < 3 * MIB


async def test_as_many_fields_as_are_allowed_are_taken_and_one_more_is_not(files: list[UploadFile]) -> None:
    parts = [part("f", b"s", filename="f")] + [part(f"n{i}", "x") for i in range(31)]
    assert len(await read(Upload([body(*parts)]))) == 32
    with pytest.raises(UploadTooLarge):
        await read(Upload([body(*parts, part("more", "x"))]))
    assert closed(files) == [False, True]


async def test_an_endless_head_of_a_field_is_refused() -> None:
    upload = Upload(itertools.chain([f"--{BOUNDARY}\r\n".encode()], endless(b"X-Long: " + b"a" * 1000)))
    with pytest.raises((UploadTooLarge, InvalidRequest)):
        await read(upload)
    assert upload.consumed < 10_000


# What is no form.


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "audio/wav", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed"],
)
async def test_what_is_no_form_with_a_boundary_is_refused_unread(content_type: str | None) -> None:
    upload = Upload([FORM], content_type=content_type)
    with pytest.raises(ClientException, match="multipart/form-data, with a boundary") as refused:
        await read(upload)
    assert refused.value.status_code == 415
    assert upload.consumed == 0


@pytest.mark.parametrize("twice", ["file", "text", "file and text", "empty text"])
async def test_a_field_that_comes_twice_is_refused(files: list[UploadFile], twice: str) -> None:
    file, text, empty = part("x", b"s", filename="x"), part("x", "t"), part("x", "")
    parts = {"file": (file, file), "text": (text, text), "file and text": (file, text), "empty text": (empty, text)}
    with pytest.raises(InvalidRequest, match="'x' was sent twice"):
        await read(Upload([body(*parts[twice])]))
    assert all(closed(files))


@pytest.mark.parametrize("end", range(1, len(FORM) - 2, len(FORM) // 40))
async def test_a_form_that_breaks_off_anywhere_is_refused(files: list[UploadFile], end: int) -> None:
    with pytest.raises(InvalidRequest, match="breaks off"):
        await read(Upload([FORM[:end]]))
    assert all(closed(files))


async def test_an_empty_body_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="breaks off"):
        await read(Upload([]))


@pytest.mark.parametrize(
    "content",
    [
        body(part("prompt", b"\xff\xfe")),
        body(b'Content-Disposition: form-data; name="f"; filename="\xff.wav"\r\n\r\ns'),
        body(b"Content-Disposition: attachment; name=f\r\n\r\ns"),
        body(b"\r\ns"),
        body(b"no colon here\r\n\r\ns"),
        FORM.replace(f"--{BOUNDARY}\r\n".encode(), f"--{BOUNDARY}xx".encode()),
        b"no boundary anywhere",
    ],
    ids=[
        "text not UTF-8",
        "file name not UTF-8",
        "no form data",
        "no head",
        "bad head",
        "junk after the boundary",
        "no boundary",
    ],
)
async def test_a_malformed_form_is_refused(files: list[UploadFile], content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await read(Upload([content]))
    assert all(closed(files))


async def test_a_content_length_that_is_no_number_is_the_clients_error() -> None:
    with pytest.raises(ClientException) as refused:
        await read(Upload([FORM], content_length="many"))
    assert refused.value.status_code == 400


# Clients that go away.


async def test_a_client_that_goes_away_half_way_leaves_nothing_open(files: list[UploadFile]) -> None:
    with pytest.raises(ClientGone):
        await read(Upload(pieces(FORM[:5000], 1000), then="gone"))
    assert closed(files) == [True]


async def test_a_client_that_falls_silent_is_given_up(files: list[UploadFile]) -> None:
    with pytest.raises(UploadStalled, match=r"for 0\.02 s"):
        await read(Upload(pieces(FORM[:5000], 1000), then="silence"), patience=0.02)
    assert closed(files) == [True]


async def test_a_slow_client_that_keeps_sending_is_not_given_up() -> None:
    upload = Upload(pieces(FORM, len(FORM) // 10), delay=0.02)
    assert "task" in await read(upload, patience=0.1)


async def test_cancellation_closes_the_files(files: list[UploadFile]) -> None:
    task = asyncio.create_task(read(Upload(pieces(FORM[:5000], 1000), then="silence")))
    async with asyncio.timeout(2):
        while not files:  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert closed(files) == [True]
