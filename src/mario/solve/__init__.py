"""Problems to trajectories: one rollout loop for solving, annotation and self-training.

`rollout` is a pure state machine of one attempt; `schedule` runs thousands of them at once over an engine and an
interpreter; `run` writes them into a `store.RunStore`, so that the same command resumes; `forecast` says what a run
will use.
"""

from mario.solve.forecast import Forecast, Pilot
from mario.solve.rollout import SolveConfig
from mario.solve.run import Progress, solve_into
from mario.solve.schedule import Schedule

__all__ = ["Forecast", "Pilot", "Progress", "Schedule", "SolveConfig", "solve_into"]
