from __future__ import annotations

import pytest

from app.telemetry.metrics import Metrics
from domain.admission import Admission
from domain.ports.telemetry import Stage


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_stage_is_timed(metrics: Metrics) -> None:
    with metrics.stage("transcribe", Stage.DECODE):
        pass
    labels = {"use_case": "transcribe", "stage": "decode"}
    assert value(metrics, "parlante_stage_seconds_count", **labels) == 1
    assert 0 <= (value(metrics, "parlante_stage_seconds_sum", **labels) or 0) < 1


def test_a_stage_that_fails_is_timed_and_its_error_comes_out(metrics: Metrics) -> None:
    with pytest.raises(ZeroDivisionError), metrics.stage("synthesize", Stage.STORE):
        raise ZeroDivisionError
    assert value(metrics, "parlante_stage_seconds_count", use_case="synthesize", stage="store") == 1


def test_seconds_of_audio_add_up(metrics: Metrics) -> None:
    metrics.heard(1.5)
    metrics.heard(2.0)
    assert value(metrics, "parlante_audio_transcribed_seconds_total") == 3.5


def test_seconds_of_speech_are_told_apart_by_whether_they_were_stored(metrics: Metrics) -> None:
    metrics.spoken(1.0, cached=False)
    metrics.spoken(2.0, cached=True)
    metrics.spoken(3.0, cached=True)
    assert value(metrics, "parlante_audio_spoken_seconds_total", cached="false") == 1
    assert value(metrics, "parlante_audio_spoken_seconds_total", cached="true") == 5


async def test_taken_places_are_those_of_the_moment(metrics: Metrics) -> None:
    admission = Admission(running=2, waiting=0, patience=1.0)
    metrics.watch("transcribe", admission)
    async with admission.place():
        assert value(metrics, "parlante_places_taken", use_case="transcribe") == 1
    assert value(metrics, "parlante_places_taken", use_case="transcribe") == 0


def test_two_services_in_one_process_do_not_share_their_figures(metrics: Metrics) -> None:
    metrics.heard(1.0)
    assert value(Metrics(), "parlante_audio_transcribed_seconds_total") == 0


def test_all_is_rendered_in_prometheus_text_format(metrics: Metrics) -> None:
    metrics.heard(1.0)
    text = metrics.render().decode()
    assert "\nparlante_audio_transcribed_seconds_total 1.0\n" in text
    assert "\nprocess_resident_memory_bytes " in text
