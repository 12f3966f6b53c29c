"""Word problems of four steps.

What this module does not do: no drawing and no arithmetic (`template`); only stories.
"""

from __future__ import annotations

from mario.data.wordproblems.template import PERCENT, Template, level, small

TEMPLATES: tuple[Template, ...] = (
    Template(
        name="two-kinds-change",
        numbers={"a": small(2, 90), "b": small(2, 9), "c": small(2, 90), "d": small(2, 9), "e": level()},
        digits="34",
        questions=(
            "{P} buys {b} chairs at {a} dollars each and {d} lamps at {c} dollars each. {He} has {e} dollars. "
            "How many dollars are left?",
            "A cap costs {a} dollars, a shirt {c}. {P} has {e} dollars and pays for {b} caps and {d} shirts. "
            "How many dollars does {he} keep?",
        ),
        steps=(
            "That is {x=a*b} dollars for the first kind.",
            "That is {y=c*d} dollars for the other kind.",
            "Together that is {z=x+y} dollars spent.",
            "There remain {w=e-z} dollars left.",
        ),
    ),
    Template(
        name="chain-then-gift",
        numbers={"a": level(), "b": level(), "c": level(), "d": level()},
        questions=(
            "{P} has {a} {toys}, {Q} has {b} more than {P}, and {R} has {c} fewer than {Q}. "
            "They put them together and give {d} away. How many {toys} are left? | {toys}",
            "{P} picks {a} {fruits}, {Q} picks {b} more than {P}, {R} picks {c} fewer than {Q}. "
            "{d} of all these are sold. How many remain? | {fruits}",
        ),
        steps=(
            "{Q} has {x=a+b} {unit} at first.",
            "{R} has {y=x-c} {unit} after the difference.",
            "All three have {z=a+x+y} {unit} in all.",
            "There remain {w=z-d} {unit} left.",
        ),
    ),
    Template(
        name="harvest-money",
        numbers={"a": level(), "b": small(2, 20), "c": small(2, 90), "d": small(2, 9), "e": small(2, 30)},
        questions=(
            "{b} fields give {a} {fruits} each. {c} are bad; the rest go into {boxes} of {d}. "
            "Each {box} sells for {e} dollars. How many dollars is that?",
            "{P} bakes {b} batches of {a} buns and burns {c}. "
            "{He} sells the good ones in bags of {d} for {e} dollars a bag. How many dollars does {he} get?",
        ),
        steps=(
            "There are {x=a*b} pieces.",
            "Good ones are {y=x-c} good pieces.",
            "They make {z=y/d} packs.",
            "That brings {w=z*e} dollars.",
        ),
    ),
    Template(
        name="discount-and-delivery",
        numbers={"a": level(), "p": PERCENT, "c": small(2, 20), "d": small(2, 90)},
        digits="234",
        questions=(
            "A {ware} costs {a} dollars, today {p}% less. A {club} buys {c} {wares} and pays {d} dollars for "
            "delivery. How many dollars does it pay?",
            "{P} orders {c} {wares} at {a} dollars each. {He} gets {p}% off, but delivery of the order costs {d} "
            "dollars. How many dollars is the bill?",
        ),
        steps=(
            "The discount is {x=a*p/100} dollars off.",
            "Each now costs {y=a-x} dollars each.",
            "Together they cost {z=y*c} dollars without delivery.",
            "The bill is {w=z+d} dollars in all.",
        ),
    ),
    Template(
        name="two-jobs",
        numbers={"a": level(), "b": small(2, 30), "c": level(), "d": small(2, 30), "e": level()},
        questions=(
            "A band plays {b} shows for {a} dollars each and {d} shows for {c} dollars each. It spends {e} dollars. "
            "How many dollars are left? | dollars",
            "A {shop} gets {b} {boxes} of {a} {treats} each and {d} {boxes} of {c} {treats} each. "
            "It sells {e} {treats}. How many {treats} remain? | {treats}",
        ),
        steps=(
            "That is {x=a*b} {unit} at first.",
            "That is {y=c*d} {unit} after that.",
            "Together that is {z=x+y} {unit} in all.",
            "There remain {w=z-e} {unit} left.",
        ),
    ),
    Template(
        name="lawn-seed",
        numbers={"a": level(), "b": level(), "c": small(2, 40), "d": small(2, 40), "e": small(2, 30)},
        digits="123",
        where=("b < a", "d < c", "c < a", "d < b"),
        questions=(
            "A yard of {a} m by {b} m has a pool of {c} m by {d} m. The rest gets {e} g of seed per square meter. "
            "How many g of seed is that? | g of seed",
            "{P} waters a field of {a} m by {b} m, but not a path of {c} m by {d} m. "
            "A square meter takes {e} liters. How many liters does {he} need? | liters",
        ),
        steps=(
            "The whole has {x=a*b} square meters.",
            "That part has {y=c*d} square meters removed.",
            "There remain {z=x-y} square meters left.",
            "That takes {w=z*e} {unit}.",
        ),
    ),
    Template(
        name="fence-without-gate",
        numbers={"a": level(), "b": level(), "c": small(2, 9), "d": small(2, 60)},
        digits="123",
        where=("b < a",),
        questions=(
            "A field of {a} m by {b} m gets a fence all around, but for a gate of {c} m. "
            "A meter of fence costs {d} dollars. How many dollars is that?",
            "{P} fences a rectangular yard of {a} m by {b} m and leaves a gap of {c} m. "
            "Each meter costs {d} dollars. How many dollars does {he} pay?",
        ),
        steps=(
            "Length and width make {x=a+b} m for half the way.",
            "All around that is {y=x*2} m.",
            "The fence has {z=y-c} m of fence.",
            "It costs {w=z*d} dollars.",
        ),
    ),
    Template(
        name="half-of-savings",
        numbers={"a": level(), "b": small(2, 30), "c": level(), "d": level()},
        questions=(
            "{P} saves {a} dollars a year for {b} years and spends {c} dollars. "
            "{He} gives half of the rest to {Q}, who had {d} dollars. How many dollars does {Q} have now? | dollars",
            "{P} gets {b} {boxes} of {a} {toys} and loses {c}. Half of the rest goes to {Q}, who had {d} {toys}. "
            "How many does {Q} have now? | {toys}",
        ),
        steps=(
            "That is {x=a*b} {unit} at first.",
            "There remain {y=x-c} {unit} left.",
            "Half of that is {z=y/2} {unit} as a gift.",
            "{Q} now has {w=z+d} {unit} in all.",
        ),
    ),
    Template(
        name="times-more-shared",
        numbers={"a": level(), "b": small(2, 9), "c": level(), "d": small(2, 9)},
        questions=(
            "{P} has {a} {toys}, {Q} has {b} times as many, and {R} has {c} more than {Q}. "
            "They give them all to {d} children in equal parts. How many does each child get? | {toys}",
            "{P} picks {a} {fruits}, {Q} picks {b} times as many, {R} picks {c} more than {Q}. "
            "They fill {d} {boxes} equally. How many {fruits} go into each? | {fruits}",
        ),
        steps=(
            "{Q} has {x=a*b} {unit} at first.",
            "{R} has {y=x+c} {unit} with the difference.",
            "All three have {z=a+x+y} {unit} in all.",
            "Each share is {w=z/d} {unit} a share.",
        ),
    ),
    Template(
        name="weeks-and-stock",
        numbers={"a": level(), "b": level(), "c": small(2, 20), "d": level()},
        questions=(
            "A machine makes {a} {parts} a day, but {b} are faulty each week. There are {d} good {parts} in store. "
            "How many good {parts} are there after {c} weeks? | {parts}",
            "A {shop} earns {a} dollars every day of the week and spends {b} dollars a week. It has {d} dollars. "
            "How many dollars does it have after {c} weeks? | dollars",
        ),
        steps=(
            "In seven days that is {x=a*7} {unit} a week.",
            "Each week leaves {y=x-b} {unit} after the loss.",
            "Over the weeks that is {z=y*c} {unit} more.",
            "With the start that is {w=z+d} {unit} in all.",
        ),
    ),
    Template(
        name="percent-groups-grow",
        numbers={"a": level(), "p": PERCENT, "c": small(2, 9), "d": small(2, 30)},
        digits="234",
        questions=(
            "Of {a} {guests}, {p}% go home. The others form {c} equal groups. Then {d} more join the first group. "
            "How many are in it now? | {guests}",
            "{Q} sells {p}% of {a} {toys} and shares the rest equally among {c} friends. "
            "{P}, one of them, had {d} {toys}. How many does {P} have now? | {toys}",
        ),
        steps=(
            "That is {x=a*p/100} {unit} less.",
            "There remain {y=a-x} {unit} left.",
            "Each share is {z=y/c} {unit} a share.",
            "With the others that is {w=z+d} {unit} in all.",
        ),
    ),
)
