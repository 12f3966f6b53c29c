"""Problems to a training set: a teacher attempts them, the grader checks each attempt, every drop has a reason."""

from mario.annotate.teach import AnnotateConfig, AnnotateResult, annotate

__all__ = ["AnnotateConfig", "AnnotateResult", "annotate"]
