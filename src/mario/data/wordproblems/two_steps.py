"""Word problems of two steps: the second needs the result of the first.

What this module does not do: no drawing and no arithmetic (`template`); only stories.
"""

from __future__ import annotations

from mario.data.wordproblems.template import PERCENT, PRICE, Template, level, small

TEMPLATES: tuple[Template, ...] = (
    Template(
        name="bought-then-gave",
        numbers={"a": level(), "b": level(), "c": level()},
        questions=(
            "{P} had {a} {toys}, bought {b} more and gave {c} to {Q}. How many {toys} does {P} have now?",
            "{P} has {a} {toys}. {Q} gives {P} {b} more, and then {P} loses {c}. How many {toys} are left?",
            "After buying {b} {toys} to add to {his} {a}, {P} sells {c}. How many {toys} does {P} still have?",
        ),
        steps=("First {P} has {x=a+b} {toys} in all.", "Then {P} has {y=x-c} {toys} left."),
    ),
    Template(
        name="more-than-together",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} has {a} {toys} and {Q} has {b} more than {P}. How many {toys} do they have together?",
            "{Q} has {b} more {toys} than {P}. {P} has {a}. How many {toys} do both have together?",
            "{P} found {a} {toys}, {Q} found {b} more than {P}. How many did the two find in all?",
        ),
        steps=("{Q} has {x=a+b} {toys}.", "Together they have {y=a+x} {toys} in all."),
    ),
    Template(
        name="fewer-together",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} baked {a} {treats}. {Q} baked {b} fewer. How many {treats} did they bake together? | {treats}",
            "A farm has {a} {animals} and {b} fewer {animals2}. How many of both are there? | animals",
            "There were {a} {guests} on Friday and {b} fewer on Sunday. How many came on both days together? "
            "| {guests}",
        ),
        steps=("The smaller number is {x=a-b} {unit}.", "Together that is {y=a+x} {unit} in all."),
    ),
    Template(
        name="times-together",
        numbers={"a": level(), "b": small(2, 12)},
        questions=(
            "{P} has {a} {toys} and {Q} has {b} times as many. How many {toys} do they have together? | {toys}",
            "{Q} has {b} times as many {toys} as {P}. {P} has {a}. How many {toys} is that in all? | {toys}",
            "A zoo has {a} {animals} and {b} times as many {animals2}. How many of both does it have? | animals",
        ),
        steps=("The larger number is {x=a*b} {unit}.", "Together that is {y=a+x} {unit} in all."),
    ),
    Template(
        name="boxes-and-loose",
        numbers={"a": level(), "b": small(2, 30), "c": level()},
        questions=(
            "{P} has {b} {boxes} with {a} {parts} each and {c} loose {parts}. How many {parts} is that in all?",
            "A shelf holds {c} {parts} and {b} {boxes} of {a} {parts}. How many {parts} are on the shelf?",
            "Each {box} holds {a} {parts}. {P} has {b} full {boxes} and {c} more {parts}. How many {parts} in all?",
        ),
        steps=("The {boxes} hold {x=a*b} {parts}.", "With the loose ones there are {y=x+c} {parts} in all."),
    ),
    Template(
        name="batches-sold",
        numbers={"a": level(), "b": small(2, 30), "c": level()},
        questions=(
            "A {shop} gets {b} batches of {a} {treats} and sells {c} {treats}. How many {treats} are left?",
            "A {shop} had {b} batches with {a} {treats} in each. {c} {treats} were sold. How many remain?",
            "A factory bakes {a} {treats} an hour for {b} hours. It gives {c} away. How many {treats} does it keep?",
        ),
        steps=("That is {x=a*b} {treats} at first.", "There are {y=x-c} {treats} left."),
    ),
    Template(
        name="left-over-after-packing",
        digits="234",
        numbers={"b": small(2, 30), "c": small(2, 90), "a": level()},
        questions=(
            "{P} has {a} {fruits} and fills {c} {boxes} with {b} each. How many {fruits} are left over?",
            "Of {a} {fruits}, {b} go into each of {c} {boxes}. How many {fruits} remain unpacked?",
            "A farm picks {a} {fruits} and sells {c} {boxes} of {b}. How many {fruits} are not sold?",
        ),
        steps=("The {boxes} take {x=b*c} {fruits}.", "That leaves {y=a-x} {fruits} over."),
    ),
    Template(
        name="change-for-several",
        numbers={"a": level(), "b": small(2, 9), "c": level()},
        where=("a < c",),
        digits="234",
        questions=(
            "{P} buys {b} {wares} for {a} dollars each and pays with {c} dollars. How many dollars come back?",
            "A {club} has {c} dollars and buys {b} {wares} at {a} dollars each. How many dollars are left?",
            "Each {ware} costs {a} dollars. A {club} pays {c} dollars for {b} {wares}. "
            "How much change in dollars is due?",
        ),
        steps=("The price is {x=a*b} dollars in all.", "There remain {y=c-x} dollars of change."),
    ),
    Template(
        name="pooled-then-shared",
        numbers={"a": level(), "b": level(), "c": small(2, 12)},
        questions=(
            "{P} and {Q} have {a} and {b} {toys}. They share them all equally among {c} children. "
            "How many {toys} does each child get? | {toys}",
            "{P} picks {a} {fruits}, {Q} picks {b}. They fill {c} {boxes} equally. How many go into each {box}? "
            "| {fruits}",
            "{a} {fruits} and {b} {fruits2} are divided equally among {c} families. How much fruit does each get? "
            "| pieces of fruit",
        ),
        steps=("Together there are {x=a+b} {unit}.", "Each share is {y=x/c} {unit} a share."),
    ),
    Template(
        name="kept-some-shared-rest",
        digits="234",
        numbers={"a": level(), "b": level(), "c": small(2, 12)},
        questions=(
            "{P} has {a} {toys}, keeps {b} and shares the rest equally among {c} friends. "
            "How many does each friend get? | {toys}",
            "Of {a} {fruits}, {b} are rotten. The others are put equally into {c} {boxes}. How many go into each? "
            "| {fruits}",
            "{P} owes {a} dollars, pays {b} now and the rest in {c} equal parts. How many dollars is each? | dollars",
        ),
        steps=("The rest is {x=a-b} {unit}.", "Each part is {y=x/c} {unit} a part."),
    ),
    Template(
        name="repacked",
        numbers={"a": level(), "b": small(2, 30), "c": small(2, 30)},
        questions=(
            "{b} {boxes} of {a} {parts} are repacked into bundles of {c}. How many bundles are there?",
            "A {club} gets {b} {boxes} with {a} {parts} each and sorts them into bundles of {c}. "
            "How many bundles is that?",
            "{P} opens {b} {boxes} of {a} {parts} and makes bundles of {c} {parts}. How many bundles does {he} make?",
        ),
        steps=("There are {x=a*b} {parts}.", "They make {y=x/c} bundles."),
    ),
    Template(
        name="same-rate",
        numbers={"b": small(2, 12), "a": level("b"), "c": small(2, 40)},
        questions=(
            "{b} equal {boxes} hold {a} {parts}. How many {parts} do {c} such {boxes} hold? | {parts}",
            "A machine makes {a} {parts} in {b} hours. How many {parts} does it make in {c} hours? | {parts}",
            "A press prints {a} pages in {b} minutes. How many pages does it print in {c} minutes? | pages",
        ),
        steps=("That is {x=a/b} {unit} for each.", "That makes {y=x*c} {unit} in all."),
    ),
    Template(
        name="discount",
        numbers={"a": level(), "p": PERCENT},
        digits="234",
        questions=(
            "A {ware} costs {a} dollars. It is sold {p}% cheaper. What is the new price in dollars?",
            "{P} gets {p}% off a {ware} that costs {a} dollars. How many dollars does {he} pay?",
            "The price of a {ware} falls from {a} dollars by {p}%. How many dollars does it cost now?",
        ),
        steps=("The discount is {x=a*p/100} dollars off.", "The new price is {y=a-x} dollars."),
    ),
    Template(
        name="growth",
        numbers={"a": level(), "p": PERCENT},
        digits="234",
        questions=(
            "A library had {a} members. The number grew by {p}%. How many members does it have now? | members",
            "Last month {a} {guests} came; this month {p}% more. How many {guests} came this month? | {guests}",
            "A tank held {a} liters. Then {p}% more was poured in. How many liters does it hold now? | liters",
        ),
        steps=("The growth is {x=a*p/100} {unit} more.", "Now there are {y=a+x} {unit} in all."),
    ),
    Template(
        name="average-of-three",
        digits="234",
        numbers={"a": level(), "b": level(), "c": level()},
        questions=(
            "{P} scored {a}, {b} and {c} points in 3 games. What was {his} average score? | points",
            "A shop had {a}, {b} and {c} customers on 3 days. What was the average per day? | customers",
            "3 fields gave {a}, {b} and {c} sacks of wheat. What was the average number of sacks per field? | sacks",
        ),
        steps=("The sum is {x=a+b+c} {unit} in all.", "The average is {y=x/3} {unit} on average."),
    ),
    Template(
        name="rectangle-perimeter",
        numbers={"a": level(), "b": level()},
        where=("b < a",),
        questions=(
            "A rectangular garden is {a} m long and {b} m wide. How many meters of fence go around it?",
            "What is the perimeter in meters of a rectangle with sides of {a} m and {b} m?",
            "{P} walks once around a rectangular field of {a} m by {b} m. How many meters does {he} walk?",
        ),
        steps=("Length and width make {x=a+b} m for half the way.", "All around that is {y=x*2} m."),
    ),
    Template(
        name="ages-chain",
        numbers={"a": level(high=40), "b": small(2, 25), "c": small(2, 25)},
        digits="12",
        questions=(
            "{P} is {a} years old. {Q} is {b} years older than {P}, and {R} is {c} years older than {Q}. "
            "How old is {R}?",
            "{P} is {a} and {Q} is {b} years older. How old will {Q} be in {c} years?",
            "{R} is {c} years older than {Q}. {Q} is {b} years older than {P}, who is {a}. How old is {R}?",
        ),
        steps=("{Q} is {x=a+b} years old now.", "The age asked for is {y=x+c} years."),
    ),
    Template(
        name="half-then-more",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} sold half of {his} {a} {toys} and then bought {b} new ones. How many {toys} does {he} have now? "
            "| {toys}",
            "Half of the {a} {guests} in a park go home. Then {b} new {guests} come. How many are in the park now? "
            "| {guests}",
            "A farm sells half of its {a} {fruits} and then gets {b} more. How many {fruits} are there now? | {fruits}",
        ),
        steps=("Half of them is {x=a/2} {unit}.", "Now there are {y=x+b} {unit} in all."),
    ),
    Template(
        name="third-leg",
        digits="234",
        numbers={"a": level(), "b": level(), "c": level()},
        where=("a < c", "b < c"),
        questions=(
            "A trip is {c} km long. {P} drives {a} km on the first day and {b} km on the second. "
            "How many km remain? | km",
            "{P} wants to run {c} laps this year. {He} ran {a} laps in May and {b} in June. How many laps remain? "
            "| laps",
            "A school collects {c} cans. One class brings {a}, another {b}. How many cans must the others bring? "
            "| cans",
        ),
        steps=("That is {x=a+b} {unit} so far.", "There remain {y=c-x} {unit} to go."),
    ),
    Template(
        name="shared-then-used",
        digits="234",
        numbers={"b": small(2, 12), "a": level("b"), "c": small(2, 50)},
        questions=(
            "{b} friends share {a} {toys} equally. {P}, who is among them, loses {c}. "
            "How many {toys} does {P} have left? | {toys}",
            "{a} {fruits} are divided equally among {b} {boxes}. {c} are taken from the first {box}. "
            "How many {fruits} stay in it? | {fruits}",
            "{P} splits {a} dollars equally over {b} weeks. "
            "In the first week {he} spends {c} dollars of that week's part. How many dollars of it are left? | dollars",
        ),
        steps=("Each equal part is {x=a/b} {unit} at first.", "After that there are {y=x-c} {unit} left."),
    ),
    Template(
        name="floor-cost",
        numbers={"a": level(), "b": level(), "c": small(2, 60)},
        digits="12",
        questions=(
            "A floor is {a} m by {b} m. A square meter of carpet costs {c} dollars. "
            "How many dollars does the carpet cost?",
            "Paint for a square meter costs {c} dollars. How many dollars does paint for a wall of {a} m by {b} m "
            "cost?",
            "{P} rents a plot of {a} m by {b} m at {c} dollars per square meter. How many dollars does {he} pay?",
        ),
        steps=("The area is {x=a*b} square meters.", "The cost is {y=x*c} dollars."),
    ),
    Template(
        name="weeks-of-work",
        numbers={"a": level(), "b": small(2, 30)},
        questions=(
            "A machine makes {a} {parts} a day. How many {parts} does it make in {b} full weeks? | {parts}",
            "{P} walks {a} steps every day. How many steps does {he} walk in {b} weeks? | steps",
            "A {shop} sells {a} {treats} every day of the week. How many {treats} does it sell in {b} weeks? "
            "| {treats}",
        ),
        steps=("In seven days that is {x=a*7} {unit} a week.", "Over the weeks that is {y=x*b} {unit} in all."),
    ),
    Template(
        name="priced-items-and-fee",
        numbers={"a": PRICE, "b": small(2, 9), "c": PRICE},
        digits="34",
        questions=(
            "{P} orders {b} books at ${a} each. Shipping costs ${c}. How many dollars does {he} pay?",
            "A boat rental charges ${c} plus ${a} for each hour. How many dollars do {b} hours cost?",
            "A ticket costs ${a}, a map ${c}. How many dollars do {b} tickets and a map cost?",
        ),
        steps=("That is {x=a*b} dollars before the extra.", "In all it is {y=x+c} dollars in all."),
    ),
)
