"""The part of `mario doctor` that asks a server what it keeps and what it drops."""

from __future__ import annotations

import asyncio
import sys

from mario.engine.check import Trait, check_server
from mario.errors import MarioError


def examine(endpoint: str, model: str | None) -> list[Trait]:
    """Every trait of the server; each is named on stderr while it is being found out."""
    return asyncio.run(_examine(endpoint, model))


async def _examine(endpoint: str, model: str | None) -> list[Trait]:
    found: list[Trait] = []
    live = sys.stderr.isatty()
    try:
        async for trait in check_server(endpoint, model):
            found.append(trait)
            if live:
                sys.stderr.write(f"\r\x1b[2Kasking the server: {trait.what}")
                sys.stderr.flush()
    except MarioError as error:
        found.append(Trait("server", "broken", str(error)))
    finally:
        if live:
            sys.stderr.write("\r\x1b[2K")
    return found
