"""Word problems of three steps.

What this module does not do: no drawing and no arithmetic (`template`); only stories.
"""

from __future__ import annotations

from mario.data.wordproblems.template import BANKNOTES, PERCENT, PRICE, Template, level, small

TEMPLATES: tuple[Template, ...] = (
    Template(
        name="two-kinds-cost",
        numbers={"a": level(), "b": small(2, 20), "c": level(), "d": small(2, 20)},
        questions=(
            "A {club} buys {b} {wares} at {a} dollars each and {d} {wares2} at {c} dollars each. "
            "How many dollars is that in all?",
            "A {ware} costs {a} dollars, a {ware2} {c}. {P} buys {b} {wares} and {d} {wares2}. "
            "How many dollars does {he} pay?",
            "A jeweler sells {b} rings for {a} dollars each and {d} chains for {c} dollars each. "
            "How many dollars does it take in?",
        ),
        steps=(
            "That is {x=a*b} dollars for the first kind.",
            "That is {y=c*d} dollars for the other kind.",
            "Together that is {z=x+y} dollars in all.",
        ),
    ),
    Template(
        name="times-then-fewer",
        numbers={"a": level(), "b": small(2, 9), "c": level()},
        questions=(
            "{P} has {a} {toys}. {Q} has {b} times as many, and {R} has {c} fewer than {Q}. "
            "How many {toys} do {P} and {R} have together?",
            "{Q} has {b} times as many {toys} as {P}. {R} has {c} fewer than {Q}. {P} has {a}. "
            "How many do {P} and {R} have in all?",
        ),
        steps=(
            "{Q} has {x=a*b} {toys}.",
            "{R} has {y=x-c} {toys} after the difference.",
            "{P} and {R} have {z=a+y} {toys} together.",
        ),
    ),
    Template(
        name="staircase-of-three",
        numbers={"a": level(), "b": level(), "c": level()},
        questions=(
            "{P} has {a} {toys}. {Q} has {b} more than {P}, and {R} has {c} more than {Q}. "
            "How many {toys} do all three have? | {toys}",
            "A camp had {a} guests in its first year, {b} more in the second, and in the third {c} more than in the "
            "second. How many guests came in all? | guests",
            "{P} sells {a} {treats}, {Q} sells {b} more than {P} and {R} sells {c} more than {Q}. "
            "How many are sold in all? | {treats}",
        ),
        steps=(
            "That is {x=a+b} {unit} for the second.",
            "That is {y=x+c} {unit} for the third.",
            "All three make {z=a+x+y} {unit} in all.",
        ),
    ),
    Template(
        name="discount-on-several",
        numbers={"a": level(), "p": PERCENT, "c": small(2, 20)},
        digits="234",
        questions=(
            "A {ware} costs {a} dollars. In a sale it is {p}% cheaper. "
            "How many dollars do {c} {wares} cost in the sale?",
            "A {club} gets {p}% off the price of {a} dollars for a {ware}. "
            "How many dollars does it pay for {c} {wares}?",
            "{P} buys {c} {wares}. Each would cost {a} dollars, but {he} gets {p}% off. "
            "How many dollars does {he} pay?",
        ),
        steps=(
            "The discount is {x=a*p/100} dollars off.",
            "Each now costs {y=a-x} dollars each.",
            "Together they cost {z=y*c} dollars in all.",
        ),
    ),
    Template(
        name="harvest-in-boxes",
        numbers={"a": level(), "b": small(2, 30), "c": small(2, 90), "d": small(2, 12)},
        questions=(
            "{b} fields give {a} {fruits} each. {c} {fruits} are bad. The good ones go into {boxes} of {d}. "
            "How many {boxes} are filled?",
            "{P} picks {a} {fruits} in each of {b} fields and drops {c} of them. "
            "{He} packs the rest {d} to a {box}. How many {boxes} does {he} fill?",
        ),
        steps=(
            "The fields give {x=a*b} {fruits}.",
            "To pack there are {y=x-c} {fruits} left.",
            "They fill {z=y/d} {boxes}.",
        ),
    ),
    Template(
        name="wages-and-rent",
        numbers={"a": level(), "b": small(2, 40), "c": level(), "d": level()},
        questions=(
            "A crew earns {a} dollars a day and works {b} days. It gets {c} dollars extra and spends {d}. "
            "How many dollars are left?",
            "A singer gets {a} dollars for each of {b} shows and a prize of {c} dollars, and pays {d} dollars of "
            "costs. How many dollars remain?",
            "{P} sells {b} {wares} for {a} dollars each, finds {c} dollars and then pays a bill of {d} dollars. "
            "How many dollars does {he} keep?",
        ),
        steps=(
            "That is {x=a*b} dollars earned.",
            "With the extra that is {y=x+c} dollars before spending.",
            "There remain {z=y-d} dollars left.",
        ),
    ),
    Template(
        name="garden-and-pond",
        numbers={"a": level(), "b": level(), "c": small(2, 60), "d": small(2, 60)},
        digits="123",
        where=("b < a", "d < c", "c < a", "d < b"),
        questions=(
            "A garden of {a} m by {b} m has a pond of {c} m by {d} m. How many square meters are not pond?",
            "A field is {a} m long and {b} m wide. A barn on it takes {c} m by {d} m. How many square meters are left?",
            "From a plot of {a} m by {b} m {P} sells a piece of {c} m by {d} m. How many square meters remain?",
        ),
        steps=(
            "The whole has {x=a*b} square meters.",
            "That part has {y=c*d} square meters removed.",
            "There remain {z=x-y} square meters left.",
        ),
    ),
    Template(
        name="rest-of-the-trip",
        digits="234",
        numbers={"a": level(), "b": level(), "c": level(), "d": small(2, 9)},
        where=("a < c", "b < c"),
        questions=(
            "A route has {c} km. {P} rides {a} km on Monday and {b} km on Tuesday, and the rest in {d} equal parts. "
            "How many km is each part? | km",
            "A series has {c} pages. {P} read {a} pages in May and {b} in June. "
            "{He} reads the rest evenly over {d} days. How many pages a day is that? | pages",
        ),
        steps=(
            "That is {x=a+b} {unit} so far.",
            "There remain {y=c-x} {unit} to go.",
            "Each part is {z=y/d} {unit} each.",
        ),
    ),
    Template(
        name="third-score",
        numbers={"a": level(), "b": level(), "c": level()},
        questions=(
            "The average of 3 games is {a} points. {P} had {b} in the first and {c} in the second. "
            "How many points did {he} have in the third? | points",
            "On 3 days an average of {a} {guests} came: {b} on the first day, {c} on the second. "
            "How many came on the third? | {guests}",
        ),
        steps=(
            "The sum is {x=a*3} {unit} in all.",
            "The first two make {y=b+c} {unit} at first.",
            "That leaves {z=x-y} {unit} for the third.",
        ),
    ),
    Template(
        name="ages-doubled",
        numbers={"a": level(high=16), "b": small(2, 12), "c": small(2, 9)},
        digits="12",
        questions=(
            "{P} is {a}. {Q} is {b} years older than {P}, and {R} is twice as old as {Q}. "
            "How old will {R} be in {c} years?",
            "{R} is twice as old as {Q}, who is {b} years older than {P}. {P} is {a} years old. "
            "How old will {R} be {c} years from now?",
        ),
        steps=("{Q} is {x=a+b} years old.", "{R} is {y=x*2} years old today.", "Later {R} is {z=y+c} years old then."),
    ),
    Template(
        name="bundles-sold",
        numbers={"a": level(), "b": small(2, 20), "c": small(2, 12), "d": small(2, 40)},
        questions=(
            "{b} {boxes} hold {a} {plants} each. They are tied into bunches of {c}, sold for {d} dollars a bunch. "
            "How many dollars is that?",
            "A {shop} gets {b} {boxes} of {a} {treats}. It sells them in bags of {c} for {d} dollars a bag. "
            "How many dollars does it take in?",
        ),
        steps=("There are {x=a*b} pieces.", "They make {y=x/c} packs.", "That brings {z=y*d} dollars."),
    ),
    Template(
        name="percent-then-groups",
        numbers={"a": level(), "p": PERCENT, "c": small(2, 9)},
        digits="234",
        questions=(
            "Of {a} {guests}, {p}% go home. The others form {c} equal groups. How many {guests} are in each group? "
            "| {guests}",
            "{P} has {a} {toys}. {He} sells {p}% of them and shares the rest equally among {c} friends. "
            "How many does each friend get? | {toys}",
        ),
        steps=(
            "That is {x=a*p/100} {unit} less.",
            "There remain {y=a-x} {unit} left.",
            "Each share is {z=y/c} {unit} a share.",
        ),
    ),
    Template(
        name="fence-cost",
        numbers={"a": level(), "b": level(), "c": small(2, 60)},
        digits="123",
        where=("b < a",),
        questions=(
            "A field is {a} m long and {b} m wide. A meter of fence costs {c} dollars. "
            "How many dollars does the fence around it cost?",
            "A rectangular park measures {a} m by {b} m. A hedge around it costs {c} dollars a meter. "
            "How many dollars is that?",
        ),
        steps=(
            "Length and width make {x=a+b} m for half the way.",
            "All around that is {y=x*2} m.",
            "The cost is {z=y*c} dollars.",
        ),
    ),
    Template(
        name="half-sold-then-changes",
        digits="234",
        numbers={"a": level(), "b": level(), "c": level()},
        questions=(
            "A {shop} has {a} {treats}. It sells half of them, gives {b} away and gets {c} new ones. "
            "How many {treats} does it have then? | {treats}",
            "Half of {a} {guests} leave a park, and {b} of the others follow. Then {c} new {guests} come. "
            "How many are there now? | {guests}",
        ),
        steps=(
            "Half of them is {x=a/2} {unit}.",
            "After that there are {y=x-b} {unit} left.",
            "With the new ones that is {z=y+c} {unit} in all.",
        ),
    ),
    Template(
        name="leftover-shared",
        digits="234",
        numbers={"b": small(2, 20), "c": small(2, 40), "a": level(), "d": small(2, 9)},
        questions=(
            "{P} has {a} {toys}. {He} fills {c} albums with {b} each and shares the rest equally among {d} friends. "
            "How many does each friend get?",
            "Of {a} {toys}, {P} puts {b} into each of {c} {boxes}. "
            "{He} deals out the others to {d} friends equally. How many does each get?",
        ),
        steps=(
            "That is {x=b*c} {toys} put away.",
            "There remain {y=a-x} {toys} left.",
            "Each friend gets {z=y/d} {toys} each.",
        ),
    ),
    Template(
        name="weekly-output",
        numbers={"a": level(), "b": level(), "c": small(2, 30)},
        questions=(
            "A machine makes {a} {parts} a day. Every week {b} of them are faulty. "
            "How many good {parts} does it make in {c} weeks?",
            "Each day a plant makes {a} {parts}; each week it uses {b} itself and sells the rest. "
            "How many {parts} does it sell in {c} weeks?",
        ),
        steps=(
            "In seven days that is {x=a*7} {parts} a week.",
            "Good ones are {y=x-b} {parts} after the loss.",
            "Over the weeks that is {z=y*c} {parts} in all.",
        ),
    ),
    Template(
        name="change-with-cents",
        numbers={"a": PRICE, "b": small(2, 5), "c": PRICE, "d": BANKNOTES},
        digits="34",
        questions=(
            "{P} buys {b} books at ${a} each and a poster for ${c}. {He} pays with ${d}. How many dollars come back?",
            "A ticket costs ${a}. {P} has ${d} and buys {b} tickets and a poster for ${c}. How many dollars are left?",
        ),
        steps=(
            "That is {x=a*b} dollars for those.",
            "All cost {y=x+c} dollars in all.",
            "There remain {z=d-y} dollars left.",
        ),
    ),
    Template(
        name="two-teams",
        numbers={"a": level(), "b": level(), "c": level(), "d": level()},
        questions=(
            "The red team scored {a} and {b} points, the blue team {c} and {d}. By how many points is red ahead? "
            "| points",
            "One farm picked {a} {fruits} in May and {b} in June. Another picked {c} and {d}. "
            "How many more did the first farm pick? | {fruits}",
            "{P} collected {a} and then {b} {toys}; {Q} collected {c} and then {d}. How many more does {P} have? "
            "| {toys}",
        ),
        steps=(
            "That is {x=a+b} {unit} for the first side.",
            "That is {y=c+d} {unit} for the other side.",
            "The difference is {z=x-y} {unit} more.",
        ),
    ),
    Template(
        name="more-then-times",
        numbers={"a": level(), "b": level(), "c": small(2, 9)},
        questions=(
            "{P} has {a} {toys}, {Q} has {b} more than {P}, and {R} has {c} times as many as {Q}. "
            "How many {toys} do the three have? | {toys}",
            "A {shop} sells {a} {treats} on Friday, {b} more on Saturday, and on Sunday {c} times as many as on "
            "Saturday. How many is that in all? | {treats}",
        ),
        steps=(
            "That is {x=a+b} {unit} for the second.",
            "That is {y=x*c} {unit} for the third.",
            "All three make {z=a+x+y} {unit} in all.",
        ),
    ),
)
