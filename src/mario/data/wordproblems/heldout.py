"""Word problems that are never trained on: the split `test-heldout`.

One idea: every step of theirs is an operation that some trained template has too (a test proves it), but the story is
new, and from two steps on mostly the order of the operations is new as well: skills to recombine, nothing unknown.

What this module does not do: no drawing and no arithmetic (`template`); only stories.
"""

from __future__ import annotations

from mario.data.wordproblems.template import PERCENT, Template, level, small

TEMPLATES: tuple[Template, ...] = (
    # one step
    Template(
        name="weekend-sales",
        numbers={"a": level(), "b": level()},
        questions=(
            "A {shop} sold {a} {treats} on Saturday and {b} on Sunday. How many did it sell in all? | {treats}",
            "A library lent {a} {texts} in May and {b} in June. How many {texts} did it lend in these months? "
            "| {texts}",
            "A road has {a} trees on its left and {b} trees on its right. How many trees line the road? | trees",
        ),
        steps=("The total is {x=a+b} {unit}.",),
    ),
    Template(
        name="still-missing",
        numbers={"a": level(), "b": level()},
        questions=(
            "{P} needs {a} points to win and has {b}. How many points are still missing? | points",
            "{P} wants to save {a} dollars and has saved {b}. How many dollars does {he} still need? | dollars",
            "A wall needs {a} bricks. {b} bricks are laid. How many bricks are still to be laid? | bricks",
        ),
        steps=("Still missing are {x=a-b} {unit}.",),
    ),
    Template(
        name="rows-of-seats",
        numbers={"a": level(), "b": small(2, 30)},
        questions=(
            "A stadium has {b} blocks of {a} seats. How many seats does it have? | seats",
            "Corn stands in {b} rows with {a} plants in each row. How many plants are there? | plants",
            "A charger takes in {a} units a minute. How many units does it take in during {b} minutes? | units",
        ),
        steps=("That makes {x=a*b} {unit} in all.",),
    ),
    Template(
        name="unit-price",
        digits="234",
        numbers={"b": small(2, 20), "a": level("b")},
        questions=(
            "{b} {wares} of the same kind cost {a} dollars. What does each cost in dollars?",
            "A choir pays {a} dollars for {b} train tickets. How many dollars is each ticket?",
            "{P} pays back {a} dollars in {b} equal parts. How many dollars is each part?",
        ),
        steps=("Each costs {x=a/b} dollars.",),
    ),
    Template(
        name="percent-tip",
        numbers={"a": level(), "p": PERCENT},
        digits="234",
        where=("p < 60",),
        questions=(
            "The bill for a party is {a} dollars. {P} tips {p}% of it. How many dollars is the tip?",
            "A seller keeps {p}% of each sale. How many dollars does the seller keep from a sale of {a} dollars?",
            "A town taxes a plot worth {a} dollars at {p}%. How many dollars is the tax?",
        ),
        steps=("The amount is {x=a*p/100} dollars.",),
    ),
    # two steps
    Template(
        name="extra-guests-leave",
        numbers={"a": level(), "b": level(), "c": level()},
        questions=(
            "A ship carries {a} people. In a port {b} get off and {c} get on. How many are aboard now? | people",
            "A pond had {a} fish. {b} were caught and {c} young fish were added. How many fish are in it now? | fish",
            "{P} has {a} dollars, spends {b} and then earns {c}. How many dollars does {he} have now? | dollars",
        ),
        steps=("After the loss there are {x=a-b} {unit} left.", "In the end there are {y=x+c} {unit} in all."),
    ),
    Template(
        name="profit",
        numbers={"a": level(), "b": level(), "c": small(2, 40)},
        questions=(
            "A dealer buys a {ware} for {b} dollars and sells it for {a}. "
            "What is its profit in dollars on {c} {wares}? | dollars",
            "Every day a well gains {a} liters and loses {b}. How many liters does it gain in {c} days? | liters",
            "{P} gets {a} dollars a month and spends {b}. How many dollars does {he} save in {c} months? | dollars",
        ),
        steps=("The gain is {x=a-b} {unit} each time.", "That makes {y=x*c} {unit} in all."),
    ),
    Template(
        name="two-machines",
        numbers={"a": level(), "b": level(), "c": small(2, 24)},
        questions=(
            "Two machines make {a} and {b} {parts} an hour. How many {parts} do both make in {c} hours? | {parts}",
            "A {ware} costs {a} dollars and a {ware2} {b}. How many dollars do {c} sets of the two cost? | dollars",
            "Every day {P} writes {a} lines and {Q} writes {b}. How many lines do they write in {c} days? | lines",
        ),
        steps=("Both together make {x=a+b} {unit} each time.", "That makes {y=x*c} {unit} in all."),
    ),
    Template(
        name="crates-for-the-rest",
        numbers={"b": small(2, 25), "a": level("b"), "c": level()},
        questions=(
            "{a} eggs are packed {b} to a carton. The store already had {c} cartons. "
            "How many cartons are there now? | cartons",
            "{a} children form teams of {b}. They join {c} teams that are already there. How many teams is that? "
            "| teams",
            "{P} trades {a} small coins for tokens, {b} coins a token. {He} had {c} tokens. "
            "How many tokens does {he} have now? | tokens",
        ),
        steps=("The new ones are {x=a/b} {unit} more.", "Now there are {y=x+c} {unit} in all."),
    ),
    Template(
        name="percent-absent",
        numbers={"a": level(), "p": PERCENT, "c": small(2, 90)},
        digits="234",
        questions=(
            "Of {a} {guests} at a show, {p}% stand. Then {c} of those who stand sit down. How many still stand? "
            "| {guests}",
            "{P} saves {p}% of {a} dollars and then spends {c} dollars of the savings. "
            "How many dollars of them are left? | dollars",
            "{p}% of {a} trees in a park are oaks. {c} oaks are cut down. How many oaks are left? | oaks",
        ),
        steps=("That share is {x=a*p/100} {unit} at first.", "After that there are {y=x-c} {unit} left."),
    ),
    Template(
        name="three-parcels",
        numbers={"a": level(), "b": level(), "c": level(), "d": level()},
        questions=(
            "Parcels weigh {a}, {b} and {c} g. The box around them weighs {d} g more. "
            "How many g is it all together? | g",
            "{P} swims {a}, {b} and {c} m and then {d} m more. How many meters does {he} swim in all? | m",
            "A path has parts of {a} m, {b} m and {c} m. It is made {d} m longer. How many meters long is it now? | m",
        ),
        steps=("The three make {x=a+b+c} {unit} before the last.", "With the last it is {y=x+d} {unit} in all."),
    ),
    # three steps
    Template(
        name="two-speeds",
        numbers={"a": level(), "b": small(2, 9), "c": level(), "d": small(2, 9)},
        questions=(
            "One pump moves {a} liters a minute for {b} minutes, another {c} liters a minute for {d} minutes. "
            "How many liters is that together? | liters",
            "{P} types {b} chapters of {a} words each and {d} chapters of {c} words each. How many words is that? "
            "| words",
        ),
        steps=(
            "That is {x=a*b} {unit} at first.",
            "That is {y=c*d} {unit} after that.",
            "Together that is {z=x+y} {unit} in all.",
        ),
    ),
    Template(
        name="planted-and-lost",
        numbers={"a": level(), "b": small(2, 12), "c": level()},
        questions=(
            "{P} plants {a} {plants} and {b} times as many {plants2}. Frost kills {c} of all these plants. "
            "How many are alive? | plants",
            "A ferry line carries {a} people, a train line {b} times as many. {c} of all these people are children. "
            "How many are adults? | people",
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
        questions=(
            "One shop sells {b} {wares} for {a} dollars, another sells {d} {wares} for {c} dollars. "
            "How many dollars less is each at the second shop? | dollars",
            "{P} packs {a} {parts} in {b} hours, {Q} packs {c} in {d} hours. "
            "How many more does {P} pack in an hour? | {parts}",
        ),
        steps=(
            "That is {x=a/b} {unit} in the first case.",
            "That is {y=c/d} {unit} in the second case.",
            "The difference is {z=x-y} {unit} of difference.",
        ),
    ),
    Template(
        name="two-workers-and-stock",
        numbers={"a": level(), "b": level(), "c": small(2, 24), "d": level()},
        questions=(
            "Two ovens bake {a} and {b} rolls an hour. There were {d} rolls in store. "
            "How many rolls are there after {c} hours? | rolls",
            "Every month {P} saves {a} dollars and {Q} saves {b}. They start with {d} dollars. "
            "How many dollars do they have after {c} months? | dollars",
        ),
        steps=(
            "Both together make {x=a+b} {unit} each time.",
            "Over the whole time that is {y=x*c} {unit} more.",
            "With the start that is {z=y+d} {unit} in all.",
        ),
    ),
    Template(
        name="raise-over-months",
        numbers={"a": level(), "p": PERCENT, "c": small(2, 24)},
        digits="234",
        questions=(
            "{P} earns {a} dollars a month and gets a raise of {p}%. "
            "How many dollars does {he} earn in the next {c} months?",
            "The rent of {a} dollars a month goes up by {p}%. How many dollars is the new rent for {c} months?",
        ),
        steps=(
            "The raise is {x=a*p/100} dollars more.",
            "That makes {y=a+x} dollars a month.",
            "That makes {z=y*c} dollars in all.",
        ),
    ),
    Template(
        name="share-plus-own",
        digits="234",
        numbers={"a": level(), "b": level(), "c": small(2, 9), "d": level()},
        questions=(
            "{Q} has {a} {toys}, keeps {b} and shares the rest equally among {c} friends. "
            "One of them is {P}, who had {d}. How many does {P} have now? | {toys}",
            "A club wins {a} dollars, spends {b} on a party and splits the rest equally among {c} players. "
            "{P}, one of them, had {d} dollars. How many dollars does {P} have now? | dollars",
        ),
        steps=(
            "That leaves {x=a-b} {unit} to share.",
            "Each one gets {y=x/c} {unit} each.",
            "{P} then has {z=y+d} {unit} in all.",
        ),
    ),
    Template(
        name="above-average",
        digits="234",
        numbers={"a": level(), "b": level(), "c": level(), "d": level()},
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
    # four steps
    Template(
        name="machines-faults-boxes",
        numbers={"a": level(), "b": level(), "c": small(2, 24), "d": small(2, 90), "e": small(2, 9)},
        questions=(
            "Two machines make {a} and {b} {parts} an hour. After {c} hours {d} faulty {parts} are thrown away. "
            "The rest is packed in {boxes} of {e}. How many {boxes} is that? | {parts}",
            "Each day {P} picks {a} {fruits} and {Q} picks {b}. "
            "After {c} days they eat {d} and pack the rest in {boxes} of {e}. How many {boxes} do they fill? "
            "| {fruits}",
        ),
        steps=(
            "Both together make {x=a+b} {unit} each time.",
            "Over the whole time that is {y=x*c} {unit} in all.",
            "There remain {z=y-d} {unit} to pack.",
            "They fill {w=z/e} {boxes}.",
        ),
    ),
    Template(
        name="profit-and-savings-split",
        digits="234",
        numbers={"a": level(), "b": level(), "c": small(2, 30), "d": level(), "e": small(2, 9)},
        questions=(
            "A dealer buys a {ware} for {b} dollars and sells it for {a}. "
            "It sells {c} {wares} and also gets a gift of {d} dollars. {e} owners share it all equally. "
            "How many dollars does each get?",
            "{P} gets {a} dollars a month and spends {b}. After {c} months {he} adds {d} dollars and splits it all "
            "equally among {e} people. How many dollars does each get?",
        ),
        steps=(
            "The gain is {x=a-b} dollars each time.",
            "Over all that is {y=x*c} dollars of gain.",
            "With the rest there are {z=y+d} dollars in all.",
            "Each share is {w=z/e} dollars a share.",
        ),
    ),
    Template(
        name="bigger-packs",
        numbers={"b": small(2, 9), "a": level("b"), "c": small(2, 30), "d": small(2, 20), "e": level()},
        questions=(
            "{b} equal {boxes} hold {a} {parts}. A larger {box} holds {c} more than one of these. "
            "{P} buys {d} larger {boxes} but loses {e} {parts}. How many {parts} does {P} keep? | {parts}",
            "{b} workers get {a} dollars a day in equal parts. Each gets {c} dollars more from today. "
            "{P}, one of them, works {d} days and spends {e} dollars. How many dollars are left? | dollars",
        ),
        steps=(
            "Each has {x=a/b} {unit} at first.",
            "With the increase that is {y=x+c} {unit} each.",
            "For all that is {z=y*d} {unit} in all.",
            "There remain {w=z-e} {unit} left.",
        ),
    ),
    Template(
        name="two-years-of-growth",
        numbers={"a": level(), "p": PERCENT, "c": level()},
        digits="234",
        questions=(
            "Last year a farm grew {a} {fruits}, this year {p}% more. Of both harvests together it sold {c}. "
            "How many {fruits} are left? | {fruits}",
            "{P} saved {a} dollars in May and {p}% more in June. {He} spends {c} dollars of it all. "
            "How many dollars are left? | dollars",
        ),
        steps=(
            "The growth is {x=a*p/100} {unit} more.",
            "That makes {y=a+x} {unit} the second time.",
            "Together that is {z=a+y} {unit} in all.",
            "There remain {w=z-c} {unit} left.",
        ),
    ),
    Template(
        name="mixed-and-shared",
        numbers={"a": level(), "b": small(2, 12), "c": level(), "d": small(2, 12), "e": small(2, 9)},
        questions=(
            "{P} mixes {b} {boxes} of {a} {toys} with {d} {boxes} of {c} {toys2} and shares it all equally among "
            "{e} children. How many pieces does each get? | pieces",
            "A workshop sells {b} {wares} at {a} dollars each and {d} {wares2} at {c} dollars each. "
            "Its {e} owners share the money equally. How many dollars does each get? | dollars",
        ),
        steps=(
            "That is {x=a*b} {unit} at first.",
            "That is {y=c*d} {unit} after that.",
            "Together that is {z=x+y} {unit} in all.",
            "Each share is {w=z/e} {unit} a share.",
        ),
    ),
)
