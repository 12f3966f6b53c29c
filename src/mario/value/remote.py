"""A value model behind vLLM's pooling server: `vllm serve DIRECTORY` and its `/pooling`.

One idea: ids go over the wire, never text, so the server values the very tokens that training saw; and it is asked for
raw logits (`use_activation` false, which the checkpoint's own configuration says too), so that one calibration fits
both ways of scoring. One request a row gives a value at every token (`token_classify`), of which we pick.

What this module does not do: it starts no server. Retries and pauses are the SDK's own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from mario.engine.faults import brief
from mario.engine.remote import base_url
from mario.errors import EngineError, EngineUnavailable
from mario.value.model import Row


class RemoteScorer:
    """`value.model.Scorer` over one model of one server."""

    def __init__(
        self,
        model: str,
        endpoint: str,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 32,
        timeout_seconds: float = 600.0,
        max_retries: int = 10,
    ) -> None:
        import openai

        self._model = model
        self._url = base_url(endpoint)
        parts = urlsplit(self._url)
        self._pooling = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/v1')}/pooling"
        self._client = openai.OpenAI(
            base_url=self._url,
            api_key=os.environ.get(api_key_env) or "none",  # local servers need none, the SDK insists
            timeout=timeout_seconds,
            max_retries=max_retries,
        )
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="mario-value")

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        """See `Scorer.score`.

        Raises:
            EngineUnavailable: the server cannot be reached. EngineError: it refuses, or answers something else.
        """
        return list(self._threads.map(self._one, rows))

    def _one(self, row: Row) -> tuple[float, ...]:
        import openai

        body = {
            "model": self._model,
            "task": "token_classify",
            "input": list(row.input_ids),
            "use_activation": False,
            "encoding_format": "float",
        }
        try:
            reply: Any = self._client.post(self._pooling, cast_to=object, body=body)
        except openai.APIConnectionError as error:
            raise EngineUnavailable(f"{self._pooling} cannot be reached: {brief(error.__cause__ or error)}") from error
        except openai.APIError as error:
            raise EngineError(
                f"{self._pooling} refuses the request: {brief(error)}; it must serve the directory of the value model, "
                "as a token classifier: vllm serve DIRECTORY"
            ) from error
        try:
            values = [float(one[0] if isinstance(one, list) else one) for one in reply["data"][0]["data"]]
        except (LookupError, TypeError, ValueError) as error:
            raise EngineError(f"{self._pooling} answers something else than a number a token") from error
        if len(values) != len(row.input_ids):
            raise EngineError(
                f"{self._pooling} gave {len(values)} values for {len(row.input_ids)} tokens; "
                "its pooling task must be token_classify"
            )
        return tuple(values[place] for place in row.places)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()
