"""S3 servers for the tests: moto's, whose answers can be spoilt, and a real one that checks signatures."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from adapters.s3 import S3Options

ROOT = Path(__file__).resolve().parents[2]
_READY = 300.0  # seconds; the first start installs the server
_SETTING = re.compile(r"export (\w+)=(\S+)")


@dataclass
class S3Server:
    """A running server."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str

    @property
    def client(self) -> Any:
        """A plain client, to look at the server past the adapter."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name="us-east-1",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def options(self, bucket: str, **changes: Any) -> S3Options:
        """Settings of a store on a bucket here."""
        return S3Options(
            **{
                "bucket": bucket,
                "endpoint_url": self.endpoint_url,
                "access_key_id": self.access_key_id,
                "secret_access_key": self.secret_access_key,
                **changes,
            }
        )

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """A bucket that goes, with all that is in it, when the tests have ended."""
        name, client = f"parlante-{uuid4().hex}", self.client
        client.create_bucket(Bucket=name)
        yield name
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            if found := [{"Key": stored["Key"]} for stored in page.get("Contents", ())]:
                client.delete_objects(Bucket=name, Delete={"Objects": found})
        client.delete_bucket(Bucket=name)

    def unfinished(self, bucket: str) -> list[str]:
        """Keys of multipart uploads that were neither completed nor aborted."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]

    def assert_unfinished_are_seen(self, bucket: str) -> None:
        """Make sure that ``unfinished`` would find one, so that an empty answer means something."""
        place = {"Bucket": bucket, "Key": "unfinished"}
        upload_id = self.client.create_multipart_upload(**place)["UploadId"]
        assert self.unfinished(bucket) == ["unfinished"]
        self.client.abort_multipart_upload(**place, UploadId=upload_id)
        assert self.unfinished(bucket) == []


StartResponse = Callable[..., Any]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Spoil = Callable[[dict[str, Any], StartResponse, Wsgi], Iterable[bytes] | None]
"""Answers a request in moto's place, or ``None`` to let moto answer."""


@dataclass
class Moto(S3Server):
    """moto's server in a thread, which checks no signatures."""

    spoil: Spoil | None = None
    """What may answer in its place."""
    requests: list[str] = field(default_factory=list)
    """Method and query of what it was asked, in order."""

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['QUERY_STRING']}")
        answer = self.spoil(environ, start_response, self._app) if self.spoil else None
        return self._app(environ, start_response) if answer is None else answer

    def __post_init__(self) -> None:
        self._app: Wsgi = DomainDispatcherApplication(create_backend_app)


@contextmanager
def run_moto() -> Iterator[Moto]:
    """Run moto's server."""
    moto = Moto("", "testing", "testing-secret")
    server = make_server("127.0.0.1", 0, moto, threaded=True, request_handler=MotoRequestHandler)
    moto.endpoint_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield moto
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def run_real_s3() -> Iterator[S3Server]:
    """Run the server of ``shared/s3``; skips where that is not beside the repository.

    Its installation lies in a directory that stays, so that only the first start takes long. Test runs at the same
    time share the server, and the last one to end stops it.
    """
    script = Path(os.environ.get("PARLANTE_SHARED", ROOT.parent / "shared"), "s3", "real-s3")
    if not script.is_file():
        pytest.skip(f"no real S3 server: there is no {script} (set PARLANTE_SHARED)")
    state = Path(tempfile.gettempdir(), f"parlante-real-s3-{os.getuid()}")
    environment = {**os.environ, "S3_STATE": str(state), "S3_BUCKET": "parlante-tests"}

    def run(command: str) -> str:
        done = subprocess.run(
            [script, command], env=environment, capture_output=True, text=True, timeout=_READY, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with state.with_suffix(".users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        settings = dict(_SETTING.findall(run("start")))
        yield S3Server(settings["S3_ENDPOINT_URL"], settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"])
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another run still uses it
        run("stop")
