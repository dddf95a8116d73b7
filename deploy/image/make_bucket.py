"""Makes the bucket S3_BUCKET on the server S3_ENDPOINT_URL, unless it is there, and waits for the server before."""

import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_PATIENCE = 60.0
_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def main() -> int:
    """Try once a second until it is there; status 1 and the reason when it does not get there."""
    bucket, server = os.environ["S3_BUCKET"], os.environ["S3_ENDPOINT_URL"]
    client = boto3.client(
        "s3",
        endpoint_url=server,
        region_name=os.environ.get("AWS_REGION") or "us-east-1",
        aws_access_key_id=os.environ["APP_AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["APP_AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            client.create_bucket(Bucket=bucket)
        except ClientError as err:
            if err.response["Error"]["Code"] in _ALREADY:
                break
            reason = f"{err.response['Error']['Code']}: {err.response['Error'].get('Message', '')}"
        except BotoCoreError as err:
            reason = str(err)
        else:
            break
        if time.monotonic() > end:
            print(f"make_bucket: {bucket} at {server}: {reason}", file=sys.stderr)  # noqa: T201
            return 1
        time.sleep(1)
    print(f"make_bucket: {bucket} is at {server}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
