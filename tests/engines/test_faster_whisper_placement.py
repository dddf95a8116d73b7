"""Where faster-whisper runs and with which settings: found by itself, or as the operator says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctranslate2
import msgspec
import pytest

from adapters import faster_whisper
from adapters.faster_whisper import PLUGIN, FasterWhisperOptions
from domain.errors import ConfigurationInvalid, StartError
from domain.ports.plugin import Host
from tests.engines.recordings import WHISPER_MINI

HOST = Host(models_dir=WHISPER_MINI.parent, device="cpu")


class TestPlacement:
    """Where it runs, with the GPUs that CTranslate2 sees counted by the test."""

    def place(self, monkeypatch: pytest.MonkeyPatch, gpus: int, device: str = "auto", **options: Any) -> Any:
        def supported(device: str, index: int) -> set[str]:
            return {"int8", "float32"} | ({"float16"} if device == "cuda" else set())

        monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: gpus)
        monkeypatch.setattr(ctranslate2, "get_supported_compute_types", supported)
        return faster_whisper._placement(FasterWhisperOptions(**options), Host(models_dir=Path("/"), device=device))

    def test_takes_a_gpu_with_float16_where_there_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.place(monkeypatch, gpus=1) == ("cuda", "float16")

    def test_takes_the_processor_with_int8_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.place(monkeypatch, gpus=0) == ("cpu", "int8")

    def test_its_own_device_goes_before_the_service_s(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.place(monkeypatch, gpus=1, device="cuda", **{"compute_type": "float32"}) == ("cuda", "float32")
        assert faster_whisper._placement(FasterWhisperOptions(device="cpu"), HOST) == ("cpu", "int8")

    def test_refuses_cuda_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationInvalid, match=r"'cuda'.* was asked for, but faster-whisper sees 0 CUDA GPUs"):
            self.place(monkeypatch, gpus=0, device="cuda")

    def test_refuses_a_gpu_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationInvalid, match="index 3"):
            self.place(monkeypatch, gpus=2, device_index=3)

    def test_refuses_a_device_that_it_does_not_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationInvalid, match="expected auto, cpu or cuda"):
            self.place(monkeypatch, gpus=1, device="tpu")

    def test_refuses_an_arithmetic_that_is_not_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationInvalid, match=r"'float16' .* expected auto, default, float32, int8"):
            self.place(monkeypatch, gpus=0, compute_type="float16")

    @pytest.mark.parametrize("name", ["parallel", "beam_size"])
    def test_refuses_numbers_below_one(self, name: str) -> None:
        with pytest.raises(msgspec.ValidationError, match=f"{name} must be at least 1"):
            msgspec.convert({name: 0}, FasterWhisperOptions)

    async def test_a_damaged_model_stops_the_start_with_a_sentence(self, tmp_path: Path) -> None:
        for file in WHISPER_MINI.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes()[: 200_000 if file.name == "model.bin" else None])
        with pytest.raises(StartError, match=r"cannot run the model in .* on cpu as int8"):
            async with PLUGIN.open(FasterWhisperOptions(model=str(tmp_path)), HOST):
                pass
