"""Voice activity by Silero VAD: the ONNX model that ships in faster-whisper's wheel, run frame by frame."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adapters.bridge import Bridge
from domain.audio import Samples
from domain.errors import DependencyMissing
from domain.ports.plugin import Host, NoOptions, Plugin
from domain.ports.voice_activity import VoiceActivityDetector

_FRAME: Final = 512
_CONTEXT: Final = 64
_STATE: Final = (1, 1, 128)


class SileroStream:
    """Follows one stream: the network's state, and the end of the frame before."""

    def __init__(self, session: Any, bridge: Bridge) -> None:
        self._session = session
        self._bridge = bridge
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    async def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """The probability of speech in each of the next frames of 512 samples; see the port."""
        return await self._bridge.call(self._run, samples)

    def _run(self, samples: Samples) -> NDArray[np.float32]:
        if not len(samples):
            return np.zeros(0, np.float32)
        before = np.concatenate([self._context, np.nan_to_num(samples)])  # the state never forgets what is no number
        frames = np.lib.stride_tricks.sliding_window_view(before, _CONTEXT + _FRAME)[::_FRAME]
        output, self._h, self._c = self._session.run(
            None, {"input": np.ascontiguousarray(frames), "h": self._h, "c": self._c}
        )
        self._context = before[-_CONTEXT:]
        return np.asarray(output, np.float32).reshape(-1)


class Silero:
    """A voice activity detector at 16 kHz with frames of 32 ms."""

    sample_rate = 16000
    frame = _FRAME

    def __init__(self, session: Any, bridge: Bridge) -> None:
        self._session = session
        self._bridge = bridge

    def stream(self) -> SileroStream:
        """Begin to follow a stream."""
        return SileroStream(self._session, self._bridge)


def _load() -> Any:
    try:
        import faster_whisper.utils  # noqa: PLC0415
        import onnxruntime  # noqa: PLC0415
    except ImportError as err:
        raise DependencyMissing("voice activity detection needs faster-whisper and onnxruntime: install them") from err
    model = sorted(Path(faster_whisper.utils.get_assets_path()).glob("silero_vad*.onnx"))[-1]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(model), sess_options=options, providers=["CPUExecutionProvider"])


@asynccontextmanager
async def _open(options: NoOptions, host: Host) -> AsyncGenerator[VoiceActivityDetector, None]:
    bridge = Bridge("silero", 1)
    try:
        yield Silero(await bridge.call(_load), bridge)
    finally:
        bridge.close()


PLUGIN: Final = Plugin(options=NoOptions, open=_open)
"""The plugin ``silero``."""
