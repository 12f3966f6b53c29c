"""Word problems of one step: the single skills that every longer problem recombines.

What this module does not do: no drawing and no arithmetic (`template`); only stories.
"""

from __future__ import annotations

from mario.data.wordproblems.template import PERCENT, PRICE, Template, level, small

TEMPLATES: tuple[Template, ...] = (
    Template(
        name="found-more",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} has {a} {toys} and finds {b} more. How many {toys} does {P} have now?",
            "{P} owned {a} {toys}. Today {he} got {b} more. How many {toys} does {he} own now?",
            "{P} adds {b} new {toys} to the {a} {toys} in {his} album. How many are in it now?",
        ),
        steps=("{P} has {x=a+b} {toys} in all.",),
    ),
    Template(
        name="visitors-three-days",
        numbers={"a": level(), "b": level(), "c": level()},
        questions=(
            "A museum had {a} visitors on Monday, {b} on Tuesday and {c} on Wednesday. How many came in all? "
            "| visitors",
            "On three days {a}, {b} and {c} people came to see a show. How many people saw it in all? | people",
            "A pool counted {a} swimmers in the morning, {b} at noon and {c} later. How many was that in all? "
            "| swimmers",
        ),
        steps=("There were {x=a+b+c} {unit} in all.",),
    ),
    Template(
        name="more-than",
        numbers={"a": level(), "b": level()},
        questions=(
            "{Q} has {a} {toys}. {P} has {b} more than {Q}. How many {toys} does {P} have?",
            "{P} has {b} more {toys} than {Q}, who has {a}. How many {toys} does {P} have?",
            "{Q} collected {a} {toys}, and {P} collected {b} more than that. How many did {P} collect?",
        ),
        steps=("{P} has {x=a+b} {toys}.",),
    ),
    Template(
        name="older-than",
        numbers={"a": level(high=60), "b": small(2, 30)},
        digits="12",
        questions=(
            "{P} is {a} years old. {Q} is {b} years older. How old is {Q}?",
            "{Q} is {b} years older than {P}, who is {a}. How old is {Q}?",
            "{P} is {a} years old now. How old will {he} be in {b} years?",
        ),
        steps=("The age is {x=a+b} years.",),
    ),
    Template(
        name="two-prices",
        numbers={"a": PRICE, "b": PRICE},
        digits="34",
        questions=(
            "{P} buys a bag for ${a} and a hat for ${b}. How many dollars does {he} spend?",
            "Lunch costs ${a} and dinner costs ${b}. How many dollars is that together?",
            "{P} earned ${a} on Friday and ${b} on Saturday. How many dollars did {he} earn in all?",
        ),
        steps=("Together that is {x=a+b} dollars.",),
    ),
    Template(
        name="gave-away",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} had {a} {toys} and gave {b} of them to {Q}. How many {toys} does {P} have left?",
            "{P} gives {Q} {b} of {his} {a} {toys}. How many {toys} does {P} keep?",
            "Of the {a} {toys} that {P} had, {he} lost {b}. How many {toys} are left?",
        ),
        steps=("{P} has {x=a-b} {toys} left.",),
    ),
    Template(
        name="how-many-more",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} has {a} {toys} and {Q} has {b}. How many more {toys} does {P} have than {Q}? | {toys}",
            "{P} picked {a} {fruits}, {Q} picked {b}. How many more did {P} pick? | {fruits}",
            "There are {a} {animals} and {b} {animals2} on a farm. How many more {animals} are there? | {animals}",
        ),
        steps=("The difference is {x=a-b} {unit} more.",),
    ),
    Template(
        name="fewer-than",
        numbers={"a": level(), "b": level()},
        questions=(
            "{Q} sold {a} {treats}. {P} sold {b} fewer than {Q}. How many {treats} did {P} sell?",
            "{P} sold {b} fewer {treats} than {Q}, who sold {a}. How many {treats} did {P} sell?",
            "Last year a fair sold {a} {treats}, this year {b} fewer. How many {treats} were sold this year?",
        ),
        steps=("The number sold is {x=a-b} {treats}.",),
    ),
    Template(
        name="change",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} buys a {ware} for {b} dollars and pays with {a} dollars. How many dollars of change does {he} get?",
            "A {ware} costs {b} dollars. {P} hands over {a} dollars. How much change in dollars is due?",
            "{P} has {a} dollars and spends {b} dollars on a {ware}. How many dollars does {he} have left?",
        ),
        steps=("{P} has {x=a-b} dollars left.",),
    ),
    Template(
        name="boxes-of-parts",
        numbers={"a": level(), "b": small(2, 40)},
        questions=(
            "A factory fills {b} {boxes} with {a} {parts} each. How many {parts} is that?",
            "There are {a} {parts} in every {box}. How many {parts} are in {b} {boxes}?",
            "{P} orders {b} {boxes} of {parts}. Each {box} holds {a}. How many {parts} does {P} get?",
        ),
        steps=("The {boxes} hold {x=a*b} {parts}.",),
    ),
    Template(
        name="times-as-many",
        numbers={"a": level(), "b": small(2, 12)},
        questions=(
            "{P} has {a} {toys}. {Q} has {b} times as many. How many {toys} does {Q} have?",
            "{Q} has {b} times as many {toys} as {P}, who has {a}. How many {toys} does {Q} have?",
            "{P} collected {a} {toys}, but {Q} collected {b} times as many. How many did {Q} collect?",
        ),
        steps=("{Q} has {x=a*b} {toys}.",),
    ),
    Template(
        name="price-of-several",
        numbers={"a": level(), "b": small(2, 30)},
        questions=(
            "A {ware} costs {a} dollars. How many dollars do {b} {wares} cost?",
            "A {club} buys {b} {wares} at {a} dollars each. How many dollars does it pay?",
            "What is the price in dollars of {b} {wares} if each costs {a} dollars?",
        ),
        steps=("The {wares} cost {x=a*b} dollars in all.",),
    ),
    Template(
        name="distance",
        numbers={"a": level(high=900), "b": small(2, 12)},
        digits="123",
        questions=(
            "A {mover} covers {a} km in an hour. How many km does it cover in {b} hours?",
            "A {mover} moves at {a} km per hour for {b} hours. How many km is that?",
            "How many km does a {mover} cover in {b} hours at {a} km per hour?",
        ),
        steps=("It covers {x=a*b} km.",),
    ),
    Template(
        name="rectangle-area",
        numbers={"a": level(), "b": level()},
        digits="123",
        where=("b < a",),
        questions=(
            "A field is {a} m long and {b} m wide. What is its area in square meters?",
            "What is the area in square meters of a rectangular yard of {a} m by {b} m?",
            "A rectangular hall measures {b} m by {a} m. How many square meters is its floor?",
        ),
        steps=("The area is {x=a*b} square meters.",),
    ),
    Template(
        name="dozens",
        numbers={"a": level()},
        questions=(
            "A {shop} sells {a} dozen {treats}. How many {treats} is that? | {treats}",
            "A hotel uses {a} dozen eggs in a season. How many eggs does it use? | eggs",
            "{P} orders {a} dozen {fruits} for a hotel. How many {fruits} does {P} order? | {fruits}",
        ),
        steps=("That is {x=a*12} {unit}.",),
    ),
    Template(
        name="equal-shares",
        digits="234",
        numbers={"b": small(2, 12), "a": level("b")},
        questions=(
            "{P} shares {a} {toys} equally among {b} friends. How many {toys} does each friend get? | {toys}",
            "{b} children divide {a} {toys} equally. How many {toys} does each child get? | {toys}",
            "{a} {fruits} are put into {b} {boxes}, the same number in each. How many are in each {box}? | {fruits}",
        ),
        steps=("That is {x=a/b} {unit} each.",),
    ),
    Template(
        name="how-many-boxes",
        digits="234",
        numbers={"b": small(2, 25), "a": level("b")},
        questions=(
            "A farm packs {a} {fruits} into {boxes} of {b}. How many {boxes} does it fill?",
            "Each {box} holds {b} {fruits}. How many {boxes} are needed for {a} {fruits}?",
            "{P} has {a} {fruits} and puts {b} into every {box}. How many {boxes} does {he} fill?",
        ),
        steps=("The {fruits} fill {x=a/b} {boxes}.",),
    ),
    Template(
        name="rate",
        digits="234",
        numbers={"b": small(2, 12), "a": level("b")},
        questions=(
            "A machine makes {a} {parts} in {b} hours. How many {parts} does it make in an hour? | {parts} an hour",
            "In {b} minutes a printer prints {a} pages. How many pages is that per minute? | pages a minute",
            "A pump moves {a} liters in {b} minutes. How many liters does it move in a minute? | liters a minute",
        ),
        steps=("The rate is {x=a/b} {unit}.",),
    ),
    Template(
        name="half-of-them",
        digits="234",
        numbers={"a": level()},
        questions=(
            "{P} gives half of {his} {a} {toys} to {Q}. How many {toys} does {Q} get? | {toys}",
            "There are {a} {guests} in a hall, and half of them sit. How many {guests} sit? | {guests}",
            "A {shop} baked {a} {treats} and sold half of them. How many did it sell? | {treats}",
        ),
        steps=("Half of them is {x=a/2} {unit}.",),
    ),
    Template(
        name="percent-of-group",
        numbers={"a": level(), "p": PERCENT},
        digits="234",
        questions=(
            "{p}% of the {a} {guests} at a park have a map. How many {guests} have a map? | {guests}",
            "A library has {a} members, and {p}% of them are students. How many members are students? | members",
            "Of {a} {plants}, {p}% are old. How many {plants} are old? | {plants}",
        ),
        steps=("That share is {x=a*p/100} {unit}.",),
    ),
)
