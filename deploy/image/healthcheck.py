"""The image's HEALTHCHECK: ends with status 0 when the service says that it is ready, else prints why it is not.

While one container takes over from another, both listen on one port; so whether this one is ready, its file says first.
"""

import http.client
import os
import sys
from pathlib import Path

_SECONDS = 5.0


def main() -> int:
    """Look for the file, where there is to be one, and ask ``/health/ready`` past any proxy."""
    file = os.environ.get("PARLANTE_SERVER__READY_FILE")
    if file and not Path(file).exists():
        print("not ready yet")  # noqa: T201
        return 1
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(os.environ.get("PARLANTE_SERVER__PORT", "8000")), timeout=_SECONDS
    )
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        print(answer.status, answer.read(2000).decode("utf-8", "replace"))  # noqa: T201
    except (OSError, http.client.HTTPException) as err:
        print(f"no answer: {err}")  # noqa: T201
        return 1
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
