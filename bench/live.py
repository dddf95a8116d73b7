"""Live transcription: a client in a process of its own speaks to the service at real-time pace."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec
import psutil

from app.service_process import running_service
from bench import live_scores as scores
from bench.figures import Figure
from bench.live_client import Plan, Run, Stream, client_process
from bench.live_speech import SAMPLE_RATE, Speech, conversation, nobody
from bench.live_worker import growth, watched, working
from bench.material import BENCH_SERVICE

_SERVICE = BENCH_SERVICE | {
    # Two transcriptions of one thread each are done sooner than two in turn of two threads each.
    "PARLANTE_TRANSCRIBERS__FASTER_WHISPER__PARALLEL": "2",
    "PARLANTE_TRANSCRIBERS__FASTER_WHISPER__CPU_THREADS": "1",
    "PARLANTE_LIVE__STREAMS": "32",
}
_TAIL = 10.0
"""Seconds of a stream of any length that are the same, and in real time."""
_PAUSE = 2.0
"""Seconds of silence before them."""
_HELD = 1.0
"""Seconds in which 95 of 100 words appear where a machine holds its streams."""
_COMPARED = 8
"""Streams at once at most of which the words are compared with batch transcription."""
_QUIET = ("silence", "hum", "clicks", "noise")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    lengths: tuple[float, ...]
    """Seconds of the streams of which the time from ``stop`` to the answer is measured."""
    repeats: int
    streams: tuple[int, ...]
    """How many at once."""
    seconds: float
    """Of each of these."""
    quiet: float
    """Seconds of each kind of sound in which nobody speaks."""
    in_real_time: bool = False
    """Nothing is sent faster than it would be spoken."""


QUICK = Size(lengths=(10, 60), repeats=1, streams=(1, 8), seconds=8, quiet=15)
USUAL = Size(lengths=(10, 60, 600), repeats=3, streams=(1, 2, 4, 8, 12, 16), seconds=20, quiet=900)
FULL = msgspec.structs.replace(USUAL, lengths=(10, 60, 600, 1800), repeats=1, seconds=120, in_real_time=True)


class _Heard(msgspec.Struct):
    """All that was streamed, for the figures that hold of everything."""

    seconds: float = 0.0
    retractions: int = 0

    def add(self, speech: Speech, stream: Stream) -> None:
        self.seconds += speech.seconds
        self.retractions += scores.retractions(stream)


def measure(folder: Path, *, quick: bool, full: bool = False) -> Iterator[Figure]:
    """Start the service on the small test model, and the client; measure."""
    size = QUICK if quick else FULL if full else USUAL
    heard = _Heard()
    with ExitStack() as stack:
        log = stack.enter_context((folder / "live.log").open("wb"))
        variables = _SERVICE | {"PARLANTE_OBJECT_STORES__LOCAL__DIRECTORY": str(folder)}
        service = stack.enter_context(running_service("demo", variables, log=log))
        http = stack.enter_context(httpx.Client(base_url=service.url, timeout=600))
        run = stack.enter_context(client_process(service.url))
        run([Plan(pcm=conversation(2.0, seed).pcm) for seed in range(2)])  # warm
        (worker,) = psutil.Process(service.pid).children()
        yield from _load(run, http, worker, size, heard)
        yield from _stop_to_answer(run, worker, size, heard)
        yield from _nobody(run, size)
        yield Figure(
            name="live.retractions", value=heard.retractions, unit="", bound="<= 0",
            meaning=f"times that confirmed text changed, in {heard.seconds / 60:.0f} minutes of streams",
        )  # fmt: skip


# Many at once.


def _load(run: Run, http: httpx.Client, worker: psutil.Process, size: Size, heard: _Heard) -> Iterator[Figure]:
    held = 0
    pairs: list[tuple[Speech, Stream]] = []
    for count in size.streams:
        speeches = [conversation(size.seconds, 100 + number) for number in range(count)]
        with working(worker, f"live.streams_{count}") as work:
            streams = run([Plan(pcm=speech.pcm) for speech in speeches])
        yield from work
        both = list(zip(speeches, streams, strict=True))
        for speech, stream in both:
            heard.add(speech, stream)
        lags = sum(len(stream.of("lag")) for stream in streams)
        shown, confirmed = _delays(both)
        yield from _percentiles(f"live.streams_{count}", "first_shown", "the first partial that has it", shown)
        yield from _percentiles(f"live.streams_{count}", "confirmed", "the first text that never changes", confirmed)
        yield Figure(
            name=f"live.streams_{count}.lag_events", value=lags, unit="",
            meaning=f"times that the service said it was behind, {count} at once",
        )  # fmt: skip
        if not lags and scores.percentile(shown, 95) < _HELD:
            held = count
        pairs = both if count <= _COMPARED else pairs
    yield Figure(
        name="live.streams_held", value=held, unit="", bound=">= 8",
        meaning=f"most of these at once with 95 of 100 words shown within {_HELD:g} s and no lag",
    )  # fmt: skip
    yield from _errors(http, pairs)


def _delays(both: list[tuple[Speech, Stream]]) -> scores.Delays:
    each = [scores.delays(speech, stream) for speech, stream in both]
    return scores.Delays(
        shown=[delay for one in each for delay in one.shown], confirmed=[d for one in each for d in one.confirmed]
    )


def _percentiles(prefix: str, name: str, to: str, values: list[float]) -> Iterator[Figure]:
    for share in (50, 95):
        yield Figure(
            name=f"{prefix}.{name}_p{share}", value=scores.percentile(values, share), unit="s",
            meaning=f"from the end of a word to {to}",
        )  # fmt: skip


# Against batch transcription.


def _errors(http: httpx.Client, both: list[tuple[Speech, Stream]]) -> Iterator[Figure]:
    said = [speech.text for speech, _ in both]
    batch = scores.error_rate(zip(said, [_transcribed(http, speech) for speech, _ in both], strict=True))
    final = scores.error_rate(zip(said, [scores.final_text(stream) for _, stream in both], strict=True))
    wrong = [scores.wrongly_confirmed(speech, stream) for speech, stream in both]
    words = sum(one.words for one in wrong)
    yield Figure(
        name="live.wer.batch", value=batch, unit="%",
        meaning=f"of {len(both)} recordings by POST /api/v1/transcribe, {sum(len(s.words) for s, _ in both)} words",
    )  # fmt: skip
    yield Figure(name="live.wer.final", value=final, unit="%", meaning="of the finals of the same sound, streamed")
    yield Figure(
        name="live.wer.final_over_batch", value=final - batch, unit="points", bound="<= 1",
        meaning="how much worse finals are than batch",
    )  # fmt: skip
    yield Figure(
        name="live.wer.confirmed", value=100 * sum(one.errors for one in wrong) / max(1, words), unit="%",
        meaning=f"of what was confirmed before the final, {words} words",
    )  # fmt: skip


def _transcribed(http: httpx.Client, speech: Speech) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(speech.pcm)
    response = http.post("/api/v1/transcribe", files={"audio_file": ("speech.wav", file.getvalue())})
    text: str = response.raise_for_status().json()["transcription"]
    return text


# From stop to the answer.


def _stop_to_answer(run: Run, worker: psutil.Process, size: Size, heard: _Heard) -> Iterator[Figure]:
    took: dict[float, list[float]] = {length: [] for length in size.lengths}
    memory: list[int] = []
    for number in range(size.repeats):
        for length in size.lengths:  # in turn, so that drift hits all alike
            if length > 100 and number % 2:
                continue
            speech = _long(length)
            with watched(worker) as sizes:
                (stream,) = run([_paced(speech, in_real_time=size.in_real_time)])
            memory = sizes if length == max(size.lengths) else memory
            took[length].append(stream.of("transcription")[-1].at - stream.stopped)
            heard.add(speech, stream)
    for length, times in took.items():  # the least: what else the machine does only adds
        before = "" if size.in_real_time or length <= _TAIL else f", all but the last {_TAIL:g} s sent ahead and heard"
        yield Figure(
            name=f"live.stop_to_final.{length:g}_s", value=min(times), unit="s",
            meaning=f"from stop to the answer after {length:g} s of speech{before}",
        )  # fmt: skip
    longest, shortest = max(took), min(took)
    yield Figure(
        name="live.stop_to_final.ratio", value=min(took[longest]) / min(took[shortest]),
        unit="x", bound="<= 1.5", meaning=f"that after {longest:g} s over that after {shortest:g} s",
    )  # fmt: skip
    yield from growth(memory, longest)


def _long(seconds: float) -> Speech:
    """Speech of any length that ends in the same way."""
    tail = conversation(_TAIL - 2, 4)
    return tail if seconds <= _TAIL else conversation(seconds - _TAIL - _PAUSE, 6).then(tail, pause=_PAUSE)


def _paced(speech: Speech, *, in_real_time: bool) -> Plan:
    """Send all but the tail as fast as the service hears it, wait until it has, then the tail as it is spoken.

    What is left to do at the stop is the same as in real time: the service has heard what came before the tail.
    """
    tail = _long(_TAIL)
    ahead = speech.seconds - tail.seconds
    if in_real_time or ahead <= 0:
        return Plan(pcm=speech.pcm)
    return Plan(pcm=speech.pcm, hurried=ahead, settled=ahead - _PAUSE - 0.5)


# Nobody speaks.


def _nobody(run: Run, size: Size) -> Iterator[Figure]:
    streams = run([Plan(pcm=nobody(kind, size.quiet).pcm, hurried=size.quiet) for kind in _QUIET])
    for kind, stream in zip(_QUIET, streams, strict=True):
        texts = [f"{e['text']} {e.get('unstable', '')}" for one in stream.received if "text" in (e := one.event)]
        yield Figure(
            name=f"live.words_on.{kind}", value=sum(len(text.split()) for text in texts), unit="", bound="<= 0",
            meaning=f"words in partials and finals on {size.quiet / 60:g} minutes of {kind}, sent as fast as it goes",
        )  # fmt: skip
