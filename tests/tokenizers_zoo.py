"""Tokenizers of the kinds that real models use, trained in a moment on a text of ours.

They differ in what a boundary between two texts means to them: bytes keep it, Metaspace may put a space before every
text it is given, and merges may reach across it.
"""

from __future__ import annotations

from typing import Any

KINDS = ("byte-level", "sentencepiece-always", "sentencepiece-first", "unigram-never")

_ITEMS = ("apples", "pencils", "marbles", "tickets", "stamps", "bottles", "chairs", "books")
TEXT = [
    f"Question: A shop has {3 + i} boxes with {12 + 3 * i} {item} each and sells {5 + i} of them. How many {item} are "
    f"left?\n\nSolution:\n\n<p>\nFirst multiply {3 + i} by {12 + 3 * i}, then subtract.\n</p>\n\n<code>\n```python\n"
    f"boxes = {3 + i} * {12 + 3 * i}\nprint(boxes - {5 + i})\n```\n</code>\n"
    f"Output: {(3 + i) * (12 + 3 * i) - 5 - i}\n\n<p>\nThe answer is {(3 + i) * (12 + 3 * i) - 5 - i}.\n</p>\n\n"
    f"Final Answer: ${(3 + i) * (12 + 3 * i) - 5 - i}$"
    for i, item in enumerate(_ITEMS * 3)
]
ENDS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}


def zoo(kind: str, texts: list[str] | None = None, **options: Any) -> Any:
    """A fast tokenizer of transformers; `options` (a chat template) go to its constructor."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    texts = texts or TEXT
    special = ["<unk>", "<s>", "</s>"]
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    match kind:
        case "byte-level":  # Qwen, Llama 3
            core = Tokenizer(models.BPE())
            core.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(_words(), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            )
            core.decoder = decoders.ByteLevel()
            trainer: Any = trainers.BpeTrainer(
                vocab_size=600, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
            )
        case "sentencepiece-always" | "sentencepiece-first":  # Llama 2, Mistral
            core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
            core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=kind.rpartition("-")[2], split=False)
            core.decoder = decoders.Sequence(
                [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
            )
            trainer = trainers.BpeTrainer(
                vocab_size=700, special_tokens=[*special, *every_byte], initial_alphabet=_letters()
            )
        case "unigram-never":  # T5's and Gemma's kind, without the added space
            core = Tokenizer(models.Unigram())
            core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
            core.decoder = decoders.Metaspace(prepend_scheme="never", split=True)
            trainer = trainers.UnigramTrainer(
                vocab_size=500, unk_token="<unk>", special_tokens=special, initial_alphabet=_letters()
            )
        case _:
            raise ValueError(f"no tokenizer of the kind {kind!r}; kinds are {KINDS}")
    trainer.show_progress = False
    core.train_from_iterator(texts, trainer)
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **ENDS, **options)


def _words() -> Any:
    """How Llama 3 splits a text: a line's end goes with the punctuation before it."""
    from tokenizers import Regex

    return Regex(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def _letters() -> list[str]:
    """Every printable ASCII character and the ends of lines, so that own text never holds an unknown one."""
    return [chr(code) for code in range(33, 127)] + ["▁", "\n", "\t"]
