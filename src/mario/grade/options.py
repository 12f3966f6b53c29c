"""Where honest people differ, each difference is one named option; the defaults are those of `docs/grading.md`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How lenient the relation is. All fields are independent.

    percent_sign: with a percent sign on one side only, 10%, 10 and 0.1 agree.
    percent_guess: with no sign at all, a factor of 100 is forgiven (never a good idea; other graders do it).
    missing_unit: a unit on one side only is ignored.
    degrees_as_radians: 30 degrees and pi/6 agree.
    rounding_digits: a decimal of at least so many significant digits stands for what it correctly rounds; 0 forbids.
    float_noise: a decimal of ten and more digits may be off by 1e-10 of its size, as floating point prints are.
    bare_list_as_tuple: `1, 2` agrees with the point `(1, 2)` when the order is the same.
    tuple_as_list: `(1, 2)` and `[1, 2]` agree when the order is the same.
    """

    percent_sign: bool = True
    percent_guess: bool = False
    missing_unit: bool = True
    degrees_as_radians: bool = True
    rounding_digits: int = 4
    float_noise: bool = True
    bare_list_as_tuple: bool = True
    tuple_as_list: bool = False


# No rounding chain, no percent guess, no missing unit: an equivalence relation, for votes and classes.
STRICT = Options(
    percent_sign=False,
    missing_unit=False,
    degrees_as_radians=False,
    rounding_digits=0,
    float_noise=False,
    bare_list_as_tuple=False,
)
