from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from litestar.datastructures import UploadFile
from litestar.exceptions import ValidationException
from msgspec import Meta, Struct

from app.multipart import multipart_operation, read_form
from domain.errors import InvalidRequest
from tests.unit.app.uploads import Upload, body, part

FILE = part("sound", b"la la", filename="song.wav")


class Song(Struct, kw_only=True, forbid_unknown_fields=True):
    sound: Annotated[UploadFile, Meta(description="A song.")]
    verses: Annotated[int, Meta(ge=1)] = 1
    key: Literal["major", "minor"] = "major"
    loud: bool = False
    tempo: Annotated[float, Meta(le=2)] | None = None


async def sung(*parts: bytes) -> Song:
    async with read_form(Upload([body(*parts)]).request, Song, max_file=1000, patience=1.0) as song:
        return song


async def refused(*parts: bytes) -> list[dict[str, Any]]:
    with pytest.raises(ValidationException) as error:
        await sung(*parts)
    extra = error.value.extra
    assert isinstance(extra, list)
    return extra


async def test_fields_become_values_of_their_types() -> None:
    song = await sung(FILE, part("verses", "3"), part("key", "minor"), part("loud", "true"), part("tempo", "1.5"))
    assert (song.verses, song.key, song.loud, song.tempo) == (3, "minor", True, 1.5)
    assert song.sound.filename == "song.wav"


async def test_fields_that_were_not_sent_or_are_empty_have_their_defaults() -> None:
    song = await sung(FILE, part("verses", ""), part("tempo", ""))
    assert (song.verses, song.key, song.loud, song.tempo) == (1, "major", False, None)


async def test_the_file_can_be_read_in_the_body_and_is_closed_after_it() -> None:
    async with read_form(Upload([body(FILE)]).request, Song, max_file=1000, patience=1.0) as song:
        assert await song.sound.read() == b"la la"
    assert song.sound.file.closed


async def test_the_file_is_closed_when_the_body_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        async with read_form(Upload([body(FILE)]).request, Song, max_file=1000, patience=1.0) as song:
            raise ZeroDivisionError
    assert song.sound.file.closed


async def test_the_file_is_closed_when_another_field_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[UploadFile] = []

    class Noted(UploadFile):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr("app.multipart.reader.UploadFile", Noted)
    await refused(FILE, part("verses", "many"))
    assert [file.file.closed for file in made] == [True]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("verses", "many", "Expected `int`"),
        ("verses", "0", ">= 1"),
        ("key", "h-flat", "Invalid enum value 'h-flat'"),
        ("loud", "very", "Expected `bool`"),
        ("tempo", "3", "<= 2"),
        ("tempo", "quick", "Expected `float"),
    ],
)
async def test_a_value_that_does_not_fit_is_named(field: str, value: str, message: str) -> None:
    (invalid,) = await refused(FILE, part(field, value))
    assert invalid["key"] == field
    assert message in invalid["message"]


async def test_an_unknown_field_is_named() -> None:
    (invalid,) = await refused(FILE, part("colour", "red"))
    assert "colour" in invalid["message"]


async def test_a_field_without_a_name_is_an_unknown_one() -> None:
    (invalid,) = await refused(FILE, b"Content-Disposition: form-data\r\n\r\nred")
    assert "unknown field" in invalid["message"]


async def test_a_missing_file_is_named() -> None:
    (invalid,) = await refused(part("verses", "1"))
    assert "sound" in invalid["message"]


async def test_a_file_sent_without_a_file_name_is_explained() -> None:
    (invalid,) = await refused(part("sound", "la la"))
    assert invalid == {"key": "sound", "message": "Expected a file, sent with a file name"}


async def test_a_file_in_place_of_a_value_is_refused() -> None:
    (invalid,) = await refused(FILE, part("verses", b"3", filename="verses.txt"))
    assert invalid["key"] == "verses"


async def test_what_is_no_form_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="malformed"):
        async with read_form(Upload([b"la la"]).request, Song, max_file=1000, patience=1.0):
            pytest.fail("it was read")


def test_in_openapi_the_form_has_a_binary_file_and_no_nulls() -> None:
    operation = multipart_operation(Song)()
    schema: Any = operation.request_body.content["multipart/form-data"].schema  # type: ignore[union-attr]
    assert schema["properties"]["sound"] == {"type": "string", "format": "binary", "description": "A song."}
    assert schema["properties"]["tempo"] == {"type": "number", "maximum": 2}
    assert schema["properties"]["verses"] == {"type": "integer", "minimum": 1, "default": 1}
    assert schema["required"] == ["sound"]
