"""Asks a service for its main job, in its container (`python - RECORDING LANGUAGE TEXT`); prints one JSON object."""

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

recording, language, text = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
key = os.environ.get("API_KEY") or Path("/app/data/api-key").read_text("utf-8").strip()


def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """One request."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=300)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read()


form = (
    b'--x\r\nContent-Disposition: form-data; name="audio_file"; filename="a"\r\n\r\n'
    + recording.read_bytes()
    + b"\r\n--x--\r\n"
)
said: dict[str, Any] = {"language": language, "text": text}
kind = {"Content_Type": "multipart/form-data; boundary=x"}
refused, _ = ask("POST", "/api/v1/transcribe", form, **kind)
heard_status, heard = ask("POST", "/api/v1/transcribe", form, X_API_Key=key, **kind)
spoken_status, spoken = ask(
    "POST", "/api/v1/synthesize", json.dumps(said).encode(), X_API_Key=key, Content_Type="application/json"
)
link = urlsplit(json.loads(spoken).get("url", ""))
fetched_status, sound = ask("GET", f"{link.path}?{link.query}")
print(
    json.dumps(
        {
            "without a key": refused,
            "transcribe": heard_status,
            "heard": json.loads(heard).get("transcription"),
            "synthesize": spoken_status,
            "link": fetched_status,
            "sound": sound[:4].decode("latin-1"),
            "bytes": len(sound),
        }
    )
)
