"""One file or small package per backend; each turns one library into one port.

``bridge`` is the one way from the event loop to blocking code; adapters share it and nothing else.
"""

import os

# onnxruntime, which faster-whisper finds speech with, reports its use to Microsoft (since 1.29) unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
