"""Write a trained checkpoint as a CTranslate2 model with Whisper's whole vocabulary, for faster-whisper."""

import json
import shutil
from pathlib import Path

import torch
from ctranslate2.converters.transformers import WhisperLoader
from tokenizers import Tokenizer
from transformers import WhisperForConditionalGeneration

from tools.speech_models.alignment import alignment_heads
from tools.speech_models.model import HEAD_WIDTH, whisper_config
from tools.speech_models.tokenizer import END_OF_TEXT, LANGUAGE_CODES, START, VOCABULARY_SIZE

FEATURE_EXTRACTOR = {
    "feature_size": 80,
    "sampling_rate": 16_000,
    "hop_length": 160,
    "chunk_length": 30,
    "n_fft": 400,
}
_SPACE_TOKEN = "Ġ"  # a transcript may not begin with a bare space


def export(checkpoint: Path, tokenizer: Path, directory: Path, quantization: str = "int8") -> None:
    """Expand the vocabulary to 51,865 tokens and convert.

    Args:
        checkpoint: of ``train``.
        tokenizer: ``tokenizer.json``, which is copied beside the model.
        directory: to write; made if it is not there.
        quantization: CTranslate2's name of the weights' type, such as ``int8`` or ``float32``.
    """
    saved, known = torch.load(checkpoint), Tokenizer.from_file(str(tokenizer))
    end, start = (_id(known, token) for token in (END_OF_TEXT, START))
    whisper = WhisperForConditionalGeneration(whisper_config(VOCABULARY_SIZE, saved["width"], end, start))
    weights = dict(saved["whisper"])
    trained = weights["model.decoder.embed_tokens.weight"]
    whole = trained[-1].repeat(VOCABULARY_SIZE, 1)
    whole[torch.tensor(saved["token_ids"])] = trained[:-1]
    weights["model.decoder.embed_tokens.weight"] = weights["proj_out.weight"] = whole
    whisper.load_state_dict(weights)
    whisper.eval()

    spec = WhisperLoader().get_model_spec(whisper)
    spec.register_vocabulary([known.id_to_token(token) for token in range(VOCABULARY_SIZE)])
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [_id(known, _SPACE_TOKEN), end]
    spec.config.lang_ids = [_id(known, f"<|{code}|>") for code in LANGUAGE_CODES]
    spec.config.alignment_heads = [list(head) for head in alignment_heads(saved["width"] // HEAD_WIDTH)]
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    directory.mkdir(parents=True, exist_ok=True)
    spec.save(str(directory))
    vocabulary = directory / "vocabulary.json"
    words = json.loads(vocabulary.read_text("utf-8"))
    vocabulary.write_text(json.dumps(words, ensure_ascii=False, separators=(",", ":")), "utf-8")  # half the size
    shutil.copyfile(tokenizer, directory / "tokenizer.json")
    (directory / "preprocessor_config.json").write_text(json.dumps(FEATURE_EXTRACTOR))


def _id(tokenizer: Tokenizer, token: str) -> int:
    """Return the id of a token that Whisper has.

    Raises:
        KeyError: it is not in this vocabulary.
    """
    number = tokenizer.token_to_id(token)
    if number is None:
        raise KeyError(token)
    return number
