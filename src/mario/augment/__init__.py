"""New problems from old ones: other numbers, other words, or asked backwards; kept only where two ways agree."""

from mario.augment.run import AugmentConfig, AugmentResult, augment

__all__ = ["AugmentConfig", "AugmentResult", "augment"]
