"""Links that the directory signs, and the secret that it signs them with."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.local import PLUGIN, LocalOptions
from adapters.local.signing import LinkSigner, load_secret
from domain.errors import ConfigurationInvalid, KeyInvalid, SignatureInvalid
from domain.ports.object_store import SelfServedStore
from domain.ports.plugin import Host

HOST = Host(models_dir=Path(os.devnull))


@asynccontextmanager
async def opened(directory: Path, secret: str = "") -> AsyncIterator[SelfServedStore]:
    async with PLUGIN.open(LocalOptions(directory=directory, secret=secret), HOST) as store:
        yield store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SelfServedStore]:
    async with opened(tmp_path) as store:
        yield store


def parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


OPEN_AND_SIGN = """
import asyncio, sys
from pathlib import Path
from adapters.local.files import ObjectFiles
from adapters.local.signing import LinkSigner, load_secret

directory = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
ObjectFiles(directory).prepare()
print(LinkSigner(load_secret(directory), clock=lambda: 0.0).sign("a", 10).url)
"""


def test_processes_that_open_a_directory_at_once_share_its_secret(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_SIGN, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    links = {process.communicate(timeout=30)[0] for process in processes}
    assert len(links) == 1
    assert links == {LinkSigner(load_secret(directory), clock=lambda: 0.0).sign("a", 10).url + "\n"}


def test_threads_that_make_a_secret_at_once_agree(tmp_path: Path) -> None:
    for turn in range(30):
        directory = tmp_path / str(turn)
        directory.mkdir()
        together = threading.Barrier(8)

        def load(directory: Path = directory, together: threading.Barrier = together) -> bytes:
            together.wait()
            return load_secret(directory)

        with ThreadPoolExecutor(8) as pool:
            secrets = {future.result() for future in [pool.submit(load) for _ in range(8)]}
        assert len(secrets) == 1
        assert [file.name for file in directory.iterdir()] == ["secret"]


async def test_the_secret_is_32_random_bytes_for_the_owner_only(tmp_path: Path) -> None:
    contents = set()
    for name in ("a", "b"):
        async with opened(tmp_path / name):
            secret = tmp_path / name / "secret"
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
            contents.add(secret.read_bytes())
    assert {len(content) for content in contents} == {32}
    assert len(contents) == 2


async def test_links_outlive_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        link = await store.url("a", 60)
    async with opened(tmp_path) as store:
        store.verify("a", **parameters(link.url))


async def test_a_configured_secret_is_used_and_not_written_down(tmp_path: Path) -> None:
    secret = "correct horse battery"
    async with opened(tmp_path / "a", secret) as a, opened(tmp_path / "b", secret) as b:
        b.verify("k", **parameters((await a.url("k", 60)).url))
    assert not (tmp_path / "a" / "secret").exists()
    assert "horse" not in repr(LocalOptions(secret=secret))


async def test_a_short_secret_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"object_stores\.local\.secret"):
        await opened(tmp_path, "short").__aenter__()


async def test_a_damaged_secret_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"half")
    with pytest.raises(ConfigurationInvalid, match="damaged"):
        await opened(tmp_path).__aenter__()


async def test_a_directory_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationInvalid, match=r"object_stores\.local\.directory"):
        await opened(tmp_path / "file" / "objects").__aenter__()


async def test_a_link_is_a_path_of_the_service(store: SelfServedStore) -> None:
    link = await store.url("speech/ab/x=1.mp3", 60)
    assert link.url.startswith("/files/speech/ab/x=1.mp3?expires=")
    assert int(parameters(link.url)["expires"]) == link.expires_at.timestamp()


@pytest.mark.parametrize(
    ("key", "expires", "signature"),
    [
        ("b", None, None),
        ("a/", None, None),
        (None, "0", None),
        (None, "", None),
        (None, "+{expires}", None),
        (None, "0{expires}", None),
        (None, "{expires} ", None),
        (None, "{expires}.0", None),
        (None, "{expires}0", None),
        (None, "9" * 5000, None),
        (None, "never", None),
        (None, "١٢٣", None),
        (None, "\udc80", None),
        (None, None, ""),
        (None, None, "0"),
        (None, None, "{signature}0"),
        (None, None, "{upper}"),
        (None, None, "é"),
        (None, None, "\udc80"),
        (None, None, "\0"),
    ],
)
async def test_what_was_not_signed_so_is_refused(
    store: SelfServedStore, key: str | None, expires: str | None, signature: str | None
) -> None:
    link = parameters((await store.url("a", 60)).url)
    given = {"expires": link["expires"], "signature": link["signature"], "upper": link["signature"].upper()}
    store.verify("a", link["expires"], link["signature"])
    with pytest.raises((SignatureInvalid, KeyInvalid)):
        store.verify(
            "a" if key is None else key,
            link["expires"] if expires is None else expires.format(**given),
            link["signature"] if signature is None else signature.format(**given),
        )


@pytest.mark.parametrize("expires", ["-1", "0", "abc", "1e9", "²"])
def test_even_a_signed_expiry_must_be_a_second(expires: str) -> None:
    signer = LinkSigner(b"secret", clock=lambda: -10.0)
    with pytest.raises(SignatureInvalid):
        signer.verify("a", expires, signer._signature("a", expires))


def test_a_link_works_until_its_second_and_not_after() -> None:
    times = iter([1000.0, 1000.0, 1009.9, 1010.0, 1e9])
    signer = LinkSigner(b"secret", clock=lambda: next(times))
    link = signer.sign("a", 9.5)
    assert link.expires_at.timestamp() == 1010
    for _ in (1000.0, 1009.9):
        signer.verify("a", **parameters(link.url))
    for _ in (1010.0, 1e9):
        with pytest.raises(SignatureInvalid, match="expired"):
            signer.verify("a", **parameters(link.url))


async def test_another_stores_link_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "a") as a, opened(tmp_path / "b") as b:
        with pytest.raises(SignatureInvalid):
            b.verify("k", **parameters((await a.url("k", 60)).url))
