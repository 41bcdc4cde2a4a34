"""A tokenizer of letters and a text model with random weights, for tiny pipelines."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 16


def letters_tokenizer() -> CLIPTokenizer:
    """Each letter is a token; at most 16 a prompt."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*letters, *(letter + "</w>" for letter in letters), BEGIN, END]
    ends = {"bos_token": BEGIN, "eos_token": END, "unk_token": END, "pad_token": END}
    vocab = {piece: index for index, piece in enumerate(pieces)}
    # Files are what every version of transformers reads.
    with TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps(vocab))
        (Path(folder) / "merges.txt").write_text("#version: 0.2\n")
        return CLIPTokenizer.from_pretrained(folder, **ends, model_max_length=LENGTH)


def text_model(tokenizer: CLIPTokenizer, width: int, *, kind: Any = CLIPTextModel, **config: Any) -> Any:
    """One for the tokenizer, with `width` channels and two heads."""
    defaults = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": width,
        "projection_dim": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": LENGTH,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return kind(CLIPTextConfig(**{**defaults, **config})).eval()
