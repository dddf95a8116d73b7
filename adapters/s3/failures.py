"""What goes wrong between the service and an S3 server, in the domain's words.

The reasons are those of the `S3 error responses <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>`_;
an answer to HEAD has no body, so that its status stands in for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import StorageUnavailable

NO_SUCH_OBJECT: Final = frozenset({"NoSuchKey", "404"})
RANGE_OUTSIDE: Final = frozenset({"InvalidRange", "416", "RequestedRangeNotSatisfiable"})
GONE_UPLOAD: Final = "NoSuchUpload"
# What repeating one request cannot mend, and sending the content again can: parts that were lost or damaged, and an
# upload that was completed by a request whose answer got lost, so that its repetition finds no upload.
SEND_AGAIN: Final = frozenset({GONE_UPLOAD, "InvalidPart", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"})

_NO_BUCKET: Final = "there is no such bucket; create it or correct S3_BUCKET"
_NO_ACCESS: Final = (
    "access is denied; the key needs s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on the "
    "bucket's objects and s3:ListBucket on the bucket"
)
_NO_KEY: Final = "the access key is not known; correct APP_AWS_ACCESS_KEY_ID"
_OTHER_REGION: Final = "the bucket is in another region; correct AWS_REGION"
_EXPIRED: Final = "the access key has expired"
_SENTENCES: Final = {
    "NoSuchBucket": _NO_BUCKET,
    "404": _NO_BUCKET,
    "InvalidBucketName": "that is no name of a bucket; correct S3_BUCKET",
    "AccessDenied": _NO_ACCESS,
    "AllAccessDisabled": _NO_ACCESS,
    "403": _NO_ACCESS,
    "InvalidAccessKeyId": _NO_KEY,
    "SignatureDoesNotMatch": "the secret does not fit the access key; correct APP_AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "301": _OTHER_REGION,
    "QuotaExceeded": "the store is full",
    "XMinioStorageFull": "the store is full",
    "SlowDown": "the store has too much to do",
    "ServiceUnavailable": "the store has too much to do",
    "503": "the store has too much to do",
}


class Refused(StorageUnavailable):
    """The server answered, and not with what was asked for."""

    def __init__(self, reason: str) -> None:
        self.reason = reason if re.fullmatch(r"[A-Za-z0-9.]{1,64}", reason) else "unknown"
        """S3's code of the error, or the HTTP status where the answer has none."""
        sentence = _SENTENCES.get(self.reason)
        super().__init__(f"the object store refuses ({self.reason})" + (f": {sentence}" if sentence else ""))


@contextmanager
def translated() -> Iterator[None]:
    """Turn every error of botocore, aiohttp and the network into ``StorageUnavailable``, without their texts.

    Raises:
        Refused: the server answered with an error.
        StorageUnavailable: it did not answer, or broke off.
    """
    try:
        yield
    except ClientError as err:
        raise Refused(str(err.response.get("Error", {}).get("Code", ""))) from err
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as err:
        raise StorageUnavailable(f"the object store does not answer ({type(err).__name__})") from err
