"""Settings of the object store ``s3``."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from domain.errors import ConfigurationInvalid

_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{3,255}|arn:[!-~]{1,2000}")
_MIB: Final = 2**20


class S3Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the object store ``s3``: AWS, MinIO, or any other server with S3's interface."""

    bucket: str = ""
    """Name of the bucket, which must exist; there is no default."""
    region: str = "us-east-1"
    """Region of the bucket, which signatures name."""
    access_key_id: str | None = None
    """Access key; ``None`` asks AWS's own chain: environment, profile, container or instance role."""
    secret_access_key: str | None = None
    """Secret of the access key. Links that are signed with a role's passing keys end with those keys."""
    endpoint_url: str | None = None
    """``http(s)://`` address of a server other than AWS."""
    public_endpoint_url: str | None = None
    """Address of the same server that links name, where clients reach it by another one than the service does."""
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    """Bucket in the path or in the host name; ``auto`` is ``path`` with an ``endpoint_url`` and ``virtual`` without."""
    part_size: Annotated[int, msgspec.Meta(ge=5 * _MIB, le=512 * _MIB)] = 8 * _MIB
    """Bytes of an upload that are in memory and go out at once; an object has at most 10,000 parts."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 32
    """Connections of the pool; requests past that wait for one."""
    connect_timeout: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """Seconds that a connection may take."""
    read_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Seconds of silence that are waited for an answer or its next bytes."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    """Times that a request is made, the first one included, with growing pauses between them."""

    def __repr__(self) -> str:
        return f"S3Options(bucket={self.bucket!r}, endpoint_url={self.endpoint_url!r})"  # keys stay out of logs

    @property
    def path_style(self) -> bool:
        """Whether requests name the bucket in the path."""
        return self.addressing_style == "path" or (self.addressing_style == "auto" and bool(self.endpoint_url))

    @property
    def patience(self) -> float:
        """Seconds within which a request, its repetitions and the pauses between them included, comes to an end."""
        return self.attempts * (self.connect_timeout + self.read_timeout) + 2.0**self.attempts


def check_options(options: S3Options) -> None:
    """Refuse what no request could succeed with.

    Raises:
        ConfigurationInvalid: names the setting.
    """
    where = "object_stores.s3"
    if not options.bucket:
        raise ConfigurationInvalid(f"{where}.bucket: no bucket is configured: set S3_BUCKET")
    if not _BUCKET.fullmatch(options.bucket):
        raise ConfigurationInvalid(f"{where}.bucket: S3_BUCKET is not the name of a bucket: {options.bucket!r}")
    if bool(options.access_key_id) != bool(options.secret_access_key):
        raise ConfigurationInvalid(
            f"{where}.access_key_id: set both APP_AWS_ACCESS_KEY_ID and APP_AWS_SECRET_ACCESS_KEY, or neither"
        )
    for name, url in (
        ("endpoint_url (S3_ENDPOINT_URL)", options.endpoint_url),
        ("public_endpoint_url", options.public_endpoint_url),
    ):
        if url and not _is_endpoint(url):
            raise ConfigurationInvalid(f"{where}.{name}: expected http://… or https://…, got {url!r}")


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:  # the port is no number
        return False
