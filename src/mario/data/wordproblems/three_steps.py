"""Word problems of three steps.

What this module does not do: no drawing and no arithmetic (`template`); only stories.
"""

from __future__ import annotations

from mario.data.wordproblems.template import PERCENT, PRICE, Template, level, small

TEMPLATES: tuple[Template, ...] = (
    Template(
        name="two-kinds-cost",
        numbers={"a": level(), "b": small(2, 20), "c": level(), "d": small(2, 20)},
        questions=(
            "A {club} buys {b} tables at {a} dollars each and {d} chairs at {c} dollars each. "
            "How many dollars is that in all?",
            "Gold seats cost {a} dollars, blue seats {c}. {P} buys {b} gold seats and {d} blue ones. "
            "How many dollars does {he} pay?",
            "A {shop} sells {b} rings for {a} dollars each and {d} chains for {c} dollars each. "
            "How many dollars does it take in?",
        ),
        steps=(
            "The first kind costs {x=a*b} dollars for the first kind.",
            "The other kind costs {y=c*d} dollars for the other kind.",
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
            "A club had {a} members in its first year, {b} more in the second, and in the third {c} more than in the "
            "second. What is the sum over the years? | members",
            "{P} sells {a} {treats}, {Q} sells {b} more than {P} and {R} sells {c} more than {Q}. "
            "How many are sold in all? | {treats}",
        ),
        steps=(
            "The second number is {x=a+b} {unit} in second place.",
            "The third number is {y=x+c} {unit} in third place.",
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
            "{b} trees carry {a} {fruits} each. {c} {fruits} are bad. The good ones go into {boxes} of {d}. "
            "How many {boxes} are filled?",
            "{P} picks {a} {fruits} from each of {b} trees and eats {c} of them. {He} packs the rest {d} to a {box}. "
            "How many {boxes} does {he} fill?",
        ),
        steps=(
            "The trees carry {x=a*b} {fruits}.",
            "To pack there are {y=x-c} {fruits} left.",
            "They fill {z=y/d} {boxes}.",
        ),
    ),
    Template(
        name="wages-and-rent",
        numbers={"a": level(), "b": small(2, 40), "c": level(), "d": level()},
        questions=(
            "{P} earns {a} dollars an hour and works {b} hours. {He} gets {c} dollars extra and spends {d}. "
            "How many dollars are left?",
            "A singer gets {a} dollars for each of {b} shows and a prize of {c} dollars, and pays {d} dollars of "
            "costs. "
            "How many dollars remain?",
            "{P} sells {b} {wares} for {a} dollars each, finds {c} dollars and then pays a bill of {d} dollars. "
            "How many dollars does {he} keep?",
        ),
        steps=(
            "The pay is {x=a*b} dollars of pay.",
            "With the extra that is {y=x+c} dollars before spending.",
            "There remain {z=y-d} dollars.",
        ),
    ),
    Template(
        name="garden-and-pond",
        numbers={"a": level(), "b": level(), "c": small(2, 60), "d": small(2, 60)},
        digits="123",
        where=("b < a", "d < c", "c < a", "d < b"),
        questions=(
            "A garden of {a} m by {b} m has a pond of {c} m by {d} m. How many square meters are not pond?",
            "A wall is {a} m long and {b} m high, with a gate of {c} m by {d} m. "
            "How many square meters of wall are left?",
            "From a cloth of {a} m by {b} m {P} cuts a piece of {c} m by {d} m. How many square meters remain?",
        ),
        steps=(
            "The whole has {x=a*b} square meters.",
            "The part to subtract has {y=c*d} square meters to subtract.",
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
            "A novel has {c} pages. {P} read {a} pages in May and {b} in June. "
            "{He} reads the rest evenly over {d} days. "
            "How many pages a day is that? | pages",
        ),
        steps=(
            "Done at first are {x=a+b} {unit} at first.",
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
            "The sum of all is {x=a*3} {unit} in all.",
            "The first two make {y=b+c} {unit} at first.",
            "The third is {z=x-y} {unit} in third place.",
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
            "Of {a} {guests} {p}% go home. The others form {c} equal groups. How many {guests} are in each group? "
            "| {guests}",
            "{P} has {a} {toys}. {He} sells {p}% of them and shares the rest equally among {c} friends. "
            "How many does each friend get? | {toys}",
        ),
        steps=(
            "The part that goes is {x=a*p/100} {unit} less.",
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
            "A rectangular frame measures {a} m by {b} m. Its border costs {c} dollars a meter. "
            "What does it cost in dollars?",
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
            "A {shop} has {a} {treats}. It sells half of them, gives {b} away and bakes {c} new ones. "
            "How many {treats} does it have then? | {treats}",
            "Half of {a} {guests} leave a park, and {b} of the others follow. Then {c} new {guests} come. "
            "How many are there now? | {guests}",
        ),
        steps=(
            "Half of them is {x=a/2} {unit}.",
            "Without the next ones that is {y=x-b} {unit} left.",
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
            "Of {a} {toys}, {P} puts {b} into each of {c} {boxes}. {He} deals out the others to {d} friends equally. "
            "How many does each get?",
        ),
        steps=(
            "Put away are {x=b*c} {toys} put away.",
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
        numbers={"a": PRICE, "b": small(2, 5), "c": PRICE, "d": small(20, 900)},
        digits="34",
        questions=(
            "{P} buys {b} books at ${a} each and a pen for ${c}. {He} pays with ${d}. How many dollars come back?",
            "A ticket costs ${a}. {P} has ${d} and buys {b} tickets and a drink for ${c}. How many dollars are left?",
        ),
        steps=(
            "The first things cost {x=a*b} dollars for those.",
            "All cost {y=x+c} dollars in all.",
            "There remain {z=d-y} dollars left.",
        ),
    ),
    Template(
        name="two-teams",
        numbers={"a": level(), "b": level(), "c": level(), "d": level()},
        questions=(
            "The red team scored {a} and {b} points, the blue team {c} and {d}. "
            "By how many points is red ahead? | points",
            "One farm picked {a} {fruits} in May and {b} in June. Another picked {c} and {d}. "
            "How many more did the first farm pick? | {fruits}",
            "{P} collected {a} and then {b} {toys}; {Q} collected {c} and then {d}. How many more does {P} have? "
            "| {toys}",
        ),
        steps=(
            "The first side has {x=a+b} {unit} on the first side.",
            "The other side has {y=c+d} {unit} on the other side.",
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
            "Saturday. "
            "How many is that in all? | {treats}",
        ),
        steps=(
            "The second number is {x=a+b} {unit} in second place.",
            "The third number is {y=x*c} {unit} in third place.",
            "All three make {z=a+x+y} {unit} in all.",
        ),
    ),
    # never trained on
    Template(
        name="two-speeds",
        numbers={"a": level(), "b": small(2, 9), "c": level(), "d": small(2, 9)},
        heldout=True,
        questions=(
            "One pump moves {a} liters a minute for {b} minutes, another {c} liters a minute for {d} minutes. "
            "How many liters is that together? | liters",
            "{P} fills {b} pages with {a} words each and {d} pages with {c} words each. "
            "How many words is that? | words",
        ),
        steps=(
            "The first part is {x=a*b} {unit} at first.",
            "The second part is {y=c*d} {unit} after that.",
            "Together that is {z=x+y} {unit} in all.",
        ),
    ),
    Template(
        name="planted-and-lost",
        numbers={"a": level(), "b": small(2, 12), "c": level()},
        heldout=True,
        questions=(
            "{P} plants {a} {plants} and {b} times as many {plants2}. Frost kills {c} of all these plants. "
            "How many are alive? | plants",
            "A bus takes {a} people, a train {b} times as many. {c} people of the two get off. "
            "How many people are still aboard? | people",
        ),
        steps=(
            "The larger number is {x=a*b} {unit}.",
            "Together that is {y=a+x} {unit} in all.",
            "There remain {z=y-c} {unit} left.",
        ),
    ),
    Template(
        name="cheaper-offer",
        digits="234",
        numbers={"b": small(2, 9), "a": level("b"), "d": small(2, 9), "c": level("d")},
        heldout=True,
        questions=(
            "One shop sells {b} {wares} for {a} dollars, another sells {d} {wares} for {c} dollars. "
            "How many dollars less is each at the second shop? | dollars",
            "{P} packs {a} {parts} in {b} hours, {Q} packs {c} in {d} hours. "
            "How many more does {P} pack in an hour? | {parts}",
        ),
        steps=(
            "The first rate is {x=a/b} {unit} at first.",
            "The second rate is {y=c/d} {unit} in second place.",
            "The difference is {z=x-y} {unit} of difference.",
        ),
    ),
    Template(
        name="two-workers-and-stock",
        numbers={"a": level(), "b": level(), "c": small(2, 24), "d": level()},
        heldout=True,
        questions=(
            "Two ovens bake {a} and {b} rolls an hour. After {c} hours they are added to {d} rolls in store. "
            "How many rolls are there then? | rolls",
            "Every month {P} saves {a} dollars and {Q} saves {b}. They start with {d} dollars. "
            "How many dollars do they have after {c} months? | dollars",
        ),
        steps=(
            "Both together make {x=a+b} {unit} each time.",
            "Over the whole time that is {y=x*c} {unit} over time.",
            "With the start that is {z=y+d} {unit} in all.",
        ),
    ),
    Template(
        name="raise-over-months",
        numbers={"a": level(), "p": PERCENT, "c": small(2, 24)},
        digits="234",
        heldout=True,
        questions=(
            "{P} earns {a} dollars a week and gets a raise of {p}%. "
            "How many dollars does {he} earn in the next {c} weeks?",
            "The rent of {a} dollars a month goes up by {p}%. How many dollars is the new rent for {c} months?",
        ),
        steps=(
            "The raise is {x=a*p/100} dollars more.",
            "Each time it is {y=a+x} dollars each time.",
            "In all that is {z=y*c} dollars in all.",
        ),
    ),
    Template(
        name="share-plus-own",
        digits="234",
        numbers={"a": level(), "b": level(), "c": small(2, 9), "d": level()},
        heldout=True,
        questions=(
            "{Q} has {a} {toys}, keeps {b} and shares the rest equally among {c} friends. "
            "One of them is {P}, who had {d}. "
            "How many does {P} have now?",
            "A club wins {a} dollars, spends {b} on a party and splits the rest equally among {c} players. "
            "{P}, one of them, had {d} dollars. How many dollars does {P} have now?",
        ),
        steps=(
            "To share there are {x=a-b} to share.",
            "Each one gets {y=x/c} for each.",
            "{P} then has {z=y+d} in all.",
        ),
    ),
    Template(
        name="above-average",
        digits="234",
        numbers={"a": level(), "b": level(), "c": level(), "d": level()},
        heldout=True,
        questions=(
            "{P} scored {a}, {b} and {c} points in 3 games. {Q} scored {d} points. "
            "How many points is {Q} above the average of {P}? | points",
            "On 3 days {a}, {b} and {c} {guests} came, on the fourth day {d}. "
            "How many is the fourth day above the average of the others? | {guests}",
        ),
        steps=(
            "The sum is {x=a+b+c} {unit} in all.",
            "The average is {y=x/3} {unit} on average.",
            "The difference is {z=d-y} {unit} more.",
        ),
    ),
)
