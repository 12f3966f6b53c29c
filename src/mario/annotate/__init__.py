"""Problems to a training set: a teacher attempts them, the grader checks each attempt, every drop has a reason."""

from mario.annotate.result import AnnotateResult
from mario.annotate.teach import AnnotateConfig, annotate

__all__ = ["AnnotateConfig", "AnnotateResult", "annotate"]
