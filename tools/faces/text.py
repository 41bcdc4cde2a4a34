"""The captions' tokenizer and the text model.

The tokenizer is a CLIPTokenizer with byte pairs merged until each word of the captions is one token.
Any other word falls apart into pieces and letters, as it does with the large models.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from faces.drawing import ACCESSORIES, BACKGROUNDS, COLOURS, MOODS

if TYPE_CHECKING:
    from pathlib import Path

    import torch

LENGTH = 20  # tokens a prompt, with the two at its ends
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
GLUE = ("a", "an", "face", "with", "on", "background")


def byte_alphabet() -> list[str]:
    """The 256 letters that stand for bytes in byte-level vocabularies: printable ones for themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def merge_pair(word: list[str], pair: tuple[str, str]) -> list[str]:
    """Joins each occurrence of the pair."""
    joined: list[str] = []
    for piece in word:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def byte_pairs(words: list[str]) -> list[tuple[str, str]]:
    """The merges, most frequent first, after which each word is one piece."""
    split = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges = []
    while any(len(word) > 1 for word in split):
        counts = Counter(pair for word in split for pair in pairwise(word))
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        split = [merge_pair(word, best) for word in split]
    return merges


def write_tokenizer(folder: Path) -> None:
    """Writes vocab.json, merges.txt and tokenizer_config.json, which every CLIPTokenizer reads."""
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({*GLUE, *MOODS, *COLOURS, *ACCESSORIES, *BACKGROUNDS})
    merges = byte_pairs(words)
    letters = byte_alphabet()
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocab = {piece: index for index, piece in enumerate([*dict.fromkeys(pieces), BEGIN, END])}
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "bos_token": BEGIN,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
        "do_lower_case": True,
        "add_prefix_space": False,
        "errors": "replace",
    }
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """Reads what `write_tokenizer` wrote."""
    return CLIPTokenizer.from_pretrained(str(folder))


def tokens(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """The captions as (N,LENGTH) integers, padded as the pipeline pads them."""
    padded = tokenizer(
        captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    )
    return padded.input_ids


def make_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A text model with fresh weights: 64 channels, 2 layers."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=256,
        projection_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)
