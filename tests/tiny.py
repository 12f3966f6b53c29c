"""A tiny random Llama with a byte-level tokenizer, built in code: real files, real weights, nothing downloaded.

Every byte is one token, so any text survives encode and decode; `<pad>`, `<bos>` and `<eos>` are the special tokens.
The weights are drawn wider than a real model's, so that greedy text varies instead of repeating one token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAD, BOS, EOS = 0, 1, 2  # token ids; the 256 bytes follow


def tiny_tokenizer(*, add_bos: bool = False, merges: tuple[tuple[str, str], ...] = (), **options: Any) -> Any:
    """A fast tokenizer over bytes; `merges` add longer tokens, `options` (a chat template) go to the constructor."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    symbols = ["<pad>", "<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    symbols += [left + right for left, right in merges]
    core = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=list(merges)))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    if add_bos:
        core.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", BOS)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        clean_up_tokenization_spaces=False,
        **options,
    )


def tiny_model(
    directory: Path,
    *,
    seed: int = 0,
    layers: int = 2,
    hidden: int = 64,
    window: int = 1024,
    spread: float = 0.3,
    add_bos: bool = False,
    merges: tuple[tuple[str, str], ...] = (),
    **tokenizer_options: Any,
) -> Path:
    """Write a Hugging Face model directory (float32 weights and tokenizer) and return its path."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(add_bos=add_bos, merges=merges, **tokenizer_options)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        initializer_range=spread,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
