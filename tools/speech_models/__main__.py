"""Command line of the recipe: ``python -m tools.speech_models --help``."""

# ruff: noqa: PLC0415  (each command imports what it alone needs: PyTorch, Coqui, faster-whisper)

import random
from pathlib import Path

import click

from tools.speech_models.grammar import LANGUAGES, Language, sentence

language_argument = click.argument("language", type=click.Choice(LANGUAGES))
file_path = click.Path(path_type=Path, dir_okay=False)
existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)
directory_path = click.Path(path_type=Path, file_okay=False)
existing_directory = click.Path(path_type=Path, file_okay=False, exists=True)


@click.group(context_settings={"show_default": True, "max_content_width": 110})
def main() -> None:
    """Make the small speech models of the tests: speak, train, export, judge. README.md has the whole way."""


@main.command()
@click.option("--count", default=20, help="Sentences to print.")
@click.option("--seed", default=0)
def grammar(count: int, seed: int) -> None:
    """Print sentences of the grammar in English and Spanish."""
    rng = random.Random(seed)
    for _ in range(count):
        drawn = sentence(rng)
        click.echo(f"{drawn.en} | {drawn.es or '—'}")


@main.command()
@click.argument("corpus", type=file_path)
@click.option("--english", default=1000, help="English sentences.")
@click.option("--spanish", default=1000, help="Spanish sentences.")
@click.option("--seed", default=0, help="Of the first English sentence; the next has the next seed.")
@click.option("--processes", default=2)
def speak(corpus: Path, english: int, spanish: int, seed: int, processes: int) -> None:
    """Speak sentences with espeak-ng and flite into CORPUS, an .npz file."""
    from tools.speech_models.corpus import hours, make_corpus, save_corpus

    utterances = make_corpus(english, spanish, seed, processes)
    save_corpus(corpus, utterances)
    click.echo(f"{len(utterances)} utterances, {hours(utterances):.2f} hours")


@main.command()
@click.argument("result", type=file_path)
@click.option(
    "--ranks",
    type=existing_file,
    help="multilingual.tiktoken; without it, that of the installed openai-whisper.",
)
def tokenizer(result: Path, ranks: Path | None) -> None:
    """Write Whisper's multilingual tokenizer to RESULT, a tokenizer.json."""
    from tools.speech_models.tokenizer import installed_ranks, write_tokenizer

    click.echo(f"{write_tokenizer(result, ranks or installed_ranks())} tokens")


@main.command()
@click.option("--stage", type=click.IntRange(1, 3), required=True)
@click.option("--minutes", type=float, required=True, help="How long to train.")
@click.option("--corpus", type=existing_file, required=True, help="Speech to train on.")
@click.option("--development", type=existing_file, required=True, help="Speech to judge on.")
@click.option("--tokenizer", "tokenizer_file", type=existing_file, required=True)
@click.option("--start", type=existing_file, help="Checkpoint of the stage before, or of this one, to go on.")
@click.option("--result", type=file_path, required=True, help="Checkpoint to write.")
@click.option("--width", default=192, help="Of a new model, a multiple of 64.")
@click.option("--peak", type=float, help="Peak learning rate instead of the stage's own.")
@click.option("--threads", default=2)
@click.option("--seed", default=0)
def train(
    stage: int,
    minutes: float,
    corpus: Path,
    development: Path,
    tokenizer_file: Path,
    start: Path | None,
    result: Path,
    width: int,
    peak: float | None,
    threads: int,
    seed: int,
) -> None:
    """Train one of the three stages of the small Whisper."""
    if (start is None) != (stage == 1):
        raise click.UsageError("stages 2 and 3 start from a checkpoint, stage 1 from none")
    from tools.speech_models.training import train as train_stage

    train_stage(
        stage=stage,
        minutes=minutes,
        corpus=corpus,
        development=development,
        tokenizer=tokenizer_file,
        start=start,
        result=result,
        width=width,
        peak=peak,
        threads=threads,
        seed=seed,
    )


@main.command()
@click.argument("checkpoint", type=existing_file)
@click.argument("directory", type=directory_path)
@click.option("--tokenizer", "tokenizer_file", type=existing_file, required=True)
@click.option("--quantization", default="int8", help="CTranslate2's type of the weights.")
def export(checkpoint: Path, directory: Path, tokenizer_file: Path, quantization: str) -> None:
    """Write CHECKPOINT as a CTranslate2 model that faster-whisper loads."""
    from tools.speech_models.export import export as write_model

    write_model(checkpoint, tokenizer_file, directory, quantization)
    for file in sorted(directory.iterdir()):
        click.echo(f"{file.name} {file.stat().st_size} bytes")


@main.command("train-voice")
@language_argument
@click.argument("directory", type=directory_path)
@click.option("--minutes", type=float, default=22.0, help="How long to train.")
@click.option("--sentences", default=1800, help="Different sentences to train on.")
@click.option("--width", default=128, help="Hidden channels.")
@click.option("--threads", default=1)
def train_voice(language: Language, directory: Path, minutes: float, sentences: int, width: int, threads: int) -> None:
    """Train a small Coqui voice and write model.pth and config.json to DIRECTORY."""
    from tools.speech_models.voice_training import train_voice as train_and_save

    train_and_save(language, minutes, directory, sentences=sentences, width=width, threads=threads)


@main.command("held-out")
@click.argument("directory", type=directory_path)
@click.option("--seed", default=7)
@click.option("--sentences", default=20, help="Single sentences a language.")
@click.option(
    "--recording-seconds",
    type=float,
    multiple=True,
    default=(40.0,),
    help="Of a recording a language; may be repeated.",
)
def held_out(directory: Path, seed: int, sentences: int, recording_seconds: tuple[float, ...]) -> None:
    """Make held-out speech, noise and silence in DIRECTORY, with refs.json."""
    from tools.speech_models.held_out import make_held_out

    made = make_held_out(directory, seed=seed, sentences=sentences, recording_seconds=recording_seconds)
    click.echo(f"{len(made)} files")


@main.command("judge-whisper")
@click.argument("model", type=existing_directory)
@click.argument("held_out_directory", type=existing_directory)
@click.option("--threads", default=2)
def judge_whisper(model: Path, held_out_directory: Path, threads: int) -> None:
    """Count the word errors of bare faster-whisper with MODEL over HELD_OUT_DIRECTORY."""
    from tools.speech_models.judge_whisper import judge_whisper as judge

    click.echo("\n".join(judge(model, held_out_directory, threads=threads)))


@main.command("judge-voice")
@language_argument
@click.argument("voice", type=existing_directory)
@click.argument("whisper", type=existing_directory)
@click.option("--sentences", default=15)
@click.option("--seed", default=31_337)
def judge_voice(language: Language, voice: Path, whisper: Path, sentences: int, seed: int) -> None:
    """Speak with the Coqui voice in VOICE and count the word errors of the model WHISPER."""
    from tools.speech_models.judge_voice import judge_voice as judge

    report = judge(language, voice, whisper, sentences=sentences, seed=seed)
    for said, heard in report.heard:
        click.echo(f"{said} | {heard}")
    errors, right = report.errors, report.languages_right
    click.echo(f"{language}: WER {errors.rate:.3f} over {errors.words} words")
    click.echo(f"language right in {right} of {sentences}, real-time factor {report.real_time_factor:.2f}")


if __name__ == "__main__":
    main()
