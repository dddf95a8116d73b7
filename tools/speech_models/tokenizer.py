"""Whisper's multilingual tokenizer as a ``tokenizer.json``, from the BPE ranks that OpenAI publishes.

The ranks are ``multilingual.tiktoken`` of the package ``openai-whisper`` (MIT licence). Special tokens and
their order are those of Whisper's own ``tokenizer.py``, so that every id is Whisper's.
"""

from importlib.util import find_spec
from pathlib import Path

VOCABULARY_SIZE = 51_865
TIMESTAMPS = 1501
"""Of the tokens ``<|0.00|>`` to ``<|30.00|>``, one every 20 ms."""

_CODES = """en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr
    bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so
    af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"""
LANGUAGE_CODES = tuple(_CODES.split())
END_OF_TEXT, START, NO_SPEECH, NO_TIMESTAMPS, FIRST_TIMESTAMP = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|nospeech|>",
    "<|notimestamps|>",
    "<|0.00|>",
)
TRANSLATE, TRANSCRIBE, PREVIOUS = "<|translate|>", "<|transcribe|>", "<|startofprev|>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    START,
    *(f"<|{code}|>" for code in LANGUAGE_CODES),
    *(TRANSLATE, TRANSCRIBE, "<|startoflm|>", PREVIOUS, NO_SPEECH, NO_TIMESTAMPS),
)
_SPLIT = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
"""GPT-2's rule of where a text is split before the pairs are merged."""


def installed_ranks() -> Path:
    """Return the path of the ranks inside the installed ``openai-whisper`` (which is not imported).

    Raises:
        FileNotFoundError: the package is not installed.
    """
    package = find_spec("whisper")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(
            "install openai-whisper (--no-deps is enough) or give the path of multilingual.tiktoken"
        )
    return Path(package.submodule_search_locations[0]) / "assets" / "multilingual.tiktoken"


def write_tokenizer(path: Path, ranks: Path) -> int:
    """Write ``tokenizer.json`` from the ranks.

    Args:
        path: where to write.
        ranks: ``multilingual.tiktoken``.

    Returns:
        The number of tokens, 51,865.
    """
    from tokenizers import AddedToken  # noqa: PLC0415
    from transformers.convert_slow_tokenizer import TikTokenConverter  # noqa: PLC0415  (brings PyTorch)

    converter = TikTokenConverter(vocab_file=str(ranks), pattern=_SPLIT, extra_special_tokens=list(SPECIAL_TOKENS))
    tokenizer = converter.converted()
    times = (f"<|{step * 0.02:.2f}|>" for step in range(TIMESTAMPS))
    tokenizer.add_tokens([AddedToken(time, special=False, normalized=False) for time in times])
    tokenizer.save(str(path), pretty=False)
    return int(tokenizer.get_vocab_size())
