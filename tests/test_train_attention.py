"""Attention by matrix products. What must stay true:

- in float32 it is torch's own, forward and backward: rows packed or padded, shared keys, rows longer than a stretch;
- in bfloat16 it is about as near to float32 as torch's own;
- it is taken on a CPU wherever no mask is needed; a network that it would change is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from test_packing import family, rows

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SCALE = 0.3
Attention = Callable[..., Any]


def states(batch: int, tokens: int, *heads: int) -> list[Any]:
    """Tensors [batch, heads, tokens, 16] as a layer makes them: heads are the last but one in memory."""
    drawn = torch.Generator().manual_seed(tokens)
    return [torch.randn(batch, tokens, n, 16, generator=drawn).transpose(1, 2) for n in heads]


def torchs(query: Any, key: Any, value: Any, lengths: list[int] | None) -> Any:
    cut = zip(*(x.split(lengths or [x.shape[2]], dim=2) for x in (query, key, value)), strict=True)
    one = torch.nn.functional.scaled_dot_product_attention
    return torch.cat([one(*row, is_causal=True, scale=SCALE, enable_gqa=True) for row in cut], dim=2).transpose(1, 2)


def ours(query: Any, key: Any, value: Any, lengths: list[int] | None) -> Any:
    from mario.train.attention import attend

    return attend(query, key, value, SCALE, lengths)


def results(attention: Attention, given: list[Any], lengths: list[int] | None, dtype: Any) -> list[Any]:
    """The output and the three gradients, in float32."""
    leaves = [one.detach().to(dtype).requires_grad_() for one in given]
    out = attention(*leaves, lengths)
    out.backward(states(given[0].shape[0], given[0].shape[2], given[0].shape[1])[0].transpose(1, 2).to(dtype))
    return [out.detach().float(), *(leaf.grad.float() for leaf in leaves)]


SHAPES = [
    (1, (5, 1, 300, 17, 513), (4, 2, 2)),  # packed, with rows of one token and of several stretches
    (3, None, (6, 2, 2)),  # padded: nobody reads what stands right of a row
    (2, None, (3, 3, 3)),
    (1, (40, 20), (4, 1, 1)),
]


@pytest.mark.parametrize(("batch", "lengths", "heads"), SHAPES)
def test_in_float32_it_is_torchs_own(batch: int, lengths: tuple[int, ...] | None, heads: tuple[int, ...]) -> None:
    given = states(batch, sum(lengths or (270,)), *heads)
    cut = list(lengths) if lengths else None
    expected = results(torchs, given, cut, torch.float32)
    for found, wanted in zip(results(ours, given, cut, torch.float32), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-6)


def test_in_bfloat16_it_is_about_as_near_to_float32_as_torchs_own() -> None:
    lengths = [200, 300, 100]
    given = [one.bfloat16().float() for one in states(1, 600, 6, 2, 2)]
    exact = results(torchs, given, lengths, torch.float32)
    found, torchs_own = (results(attention, given, lengths, torch.bfloat16) for attention in (ours, torchs))
    for ours_is, own_is, wanted in zip(found, torchs_own, exact, strict=True):
        assert (ours_is - wanted).norm() < 3 * (own_is - wanted).norm()  # scores rounded, too
        assert (ours_is - wanted).norm() < 0.01 * wanted.norm()


def gradients(network: Any, batch: dict[str, Any], attention: str, dtype: Any) -> Any:
    from mario.train.packing import attending, attention_of

    with attending(network, attention), torch.autocast("cpu", dtype, enabled=dtype is torch.bfloat16):
        told = attention_of(network, batch)
        logits = network(input_ids=batch["input_ids"], use_cache=False, **told).logits
        torch.nn.functional.cross_entropy(logits[0, :-1].float(), batch["input_ids"][0, 1:]).backward()
    found = torch.cat([p.grad.flatten() for p in network.parameters()])
    network.zero_grad()
    return found


def test_it_is_taken_on_a_cpu_where_no_mask_is_needed() -> None:
    from mario.train.packing import ROWS_APART, attention_for, pack

    made = rows((300, 40))
    network = family("Llama")
    assert attention_for(network, made) == ROWS_APART
    assert attention_for(family("Mistral", sliding_window=64), made) == "sdpa"
    assert attention_for(family("Gemma2"), made) == "eager"
    batch = pack(made[:1])
    own = gradients(network, batch, "sdpa", torch.bfloat16)
    ours_is = gradients(network, batch, ROWS_APART, torch.bfloat16)
    exact = gradients(network, batch, "sdpa", torch.float32)
    assert not torch.equal(own, ours_is)  # ours was at work
    assert (ours_is - exact).norm() < 1.5 * (own - exact).norm()
    assert torch.equal(gradients(network, batch, ROWS_APART, torch.float32), exact)  # torch's own, and faster there


def test_a_network_that_asks_for_more_than_causal_attention_is_found_out() -> None:
    """What our attention does not know of changes what it computes, and is seen before the first step."""
    from mario.errors import TrainingError
    from mario.train.packing import attention_for

    network = family("Llama")
    for layer in network.model.layers:
        layer.self_attn.is_causal = False
    with pytest.raises(TrainingError, match="hidden states change"):
        attention_for(network, rows((300, 40)))
