"""Engines: whatever writes text behind `protocol.Engine`, in this process, behind a server, or from a record."""

import os

# Read by OpenMP when torch loads: idle threads sleep instead of spinning. With spinning, a second busy process on the
# same cores slows small batches tenfold; sleeping costs a fifth at most on an idle machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from mario.engine.build import build_engine
from mario.engine.config import EngineConfig

__all__ = ["EngineConfig", "build_engine"]
