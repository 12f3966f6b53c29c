"""The people and things our word problems are about.

One idea: a template says `{P}`, `{toys}` or `{wares}`, and a draw decides which. Things whose believable kind
depends on the size of the number (what costs 7 dollars, what costs 7000) are listed by digits.

What this module does not do: no grammar. Words are listed with their plural, and templates avoid "a"/"an".
"""

from __future__ import annotations

from random import Random

Noun = tuple[str, str]  # singular, plural

SHE = "Ada Alma Amina Anna Bea Carla Chloe Dina Elena Emma Fatima Grace Hana Ines Julia Kavya Leila Lucy Maria Mei Nora"
SHE += " Olga Priya Rosa Sara Tina Uma Vera Yuki Zoe"
HE = "Adam Ali Ben Carlos Daniel David Emil Felix Hugo Ivan Jack Jonas Karim Kenji Leo Liam Marco Max Nico Omar Oscar"
HE += " Paul Ravi Samuel Sven Theo Tom Victor Wei Yusuf"


def _nouns(text: str) -> tuple[Noun, ...]:
    """Read `pen, box/boxes`: the plural is written only where it is not the singular with an s."""
    pairs = (word.strip().partition("/") for word in text.split(","))
    return tuple((one, many or one + "s") for one, _, many in pairs)


# slot of the plural -> (slot of the singular, nouns); `{toys2}` and `{toy2}` are another noun of the same pool
POOLS: dict[str, tuple[str, tuple[Noun, ...]]] = {
    "toys": ("toy", _nouns("sticker, marble, bead, stamp, button, shell, card, coin, badge, token, magnet, postcard")),
    "fruits": ("fruit", _nouns("apple, pear, plum, orange, lemon, peach/peaches, mango/mangoes, melon, lime, apricot")),
    "treats": ("treat", _nouns("muffin, cookie, bagel, pretzel, waffle, doughnut, cupcake, sandwich/sandwiches, bun")),
    "plants": ("plant", _nouns("tulip, rose, lily/lilies, daisy/daisies, fern, cactus/cacti, sunflower, violet")),
    "animals": ("animal", _nouns("hen, duck, goat, cow, rabbit, goose/geese, pony/ponies, turkey")),
    "parts": ("part", _nouns("screw, bolt, bulb, gear, spring, tile, brick, battery/batteries, hinge, nail, valve")),
    "boxes": ("box", _nouns("box/boxes, bag, crate, basket, tray, carton, sack, case")),
    "guests": ("guest", _nouns("guest, visitor, tourist, student, child/children, fan")),
    "clubs": ("club", _nouns("school, hotel, sports club, college, museum, theater, hospital, town library/libraries")),
    "shops": ("shop", _nouns("corner shop, market stall, bakery/bakeries, school kiosk, supermarket, gift shop")),
    "texts": ("text", _nouns("novel, comic, cookbook, diary/diaries, travel guide, storybook, textbook")),
}

# things to buy and things that move, by the digits of a price in dollars or of a speed in km an hour
WARES: dict[int, tuple[Noun, ...]] = {
    1: _nouns("pen, cup, candle, notebook, ruler, brush/brushes, towel, plate, comb, toy car"),
    2: _nouns("lamp, jacket, backpack, kettle, board game, chair, radio, scarf/scarves, football, clock"),
    3: _nouns("bicycle, printer, sofa, washing machine, phone, camera, guitar, desk, tent, heater"),
    4: _nouns("piano, motorbike, server, greenhouse, stove, kiln, billiard table, stair lift, rowing boat"),
}
MOVERS: dict[int, tuple[Noun, ...]] = {
    1: _nouns("hiker, jogger, rowing boat, donkey, canoe"),
    2: _nouns("bus/buses, van, truck, car, ferry/ferries, train, motorbike"),
    3: _nouns("plane, jet, bullet train, race car, helicopter"),
    4: _nouns("rocket, supersonic jet"),
}


def choose_words(rng: Random, digits: int) -> dict[str, str]:
    """Draw a word for every slot; the number of draws is fixed, so slots do not disturb each other."""
    people = rng.sample(
        [(name, "she", "her") for name in SHE.split()] + [(name, "he", "his") for name in HE.split()], 3
    )
    _, he, his = people[0]
    words = {"P": people[0][0], "Q": people[1][0], "R": people[2][0], "he": he, "his": his}
    words |= {"He": he.capitalize(), "His": his.capitalize()}
    pools = POOLS | {"wares": ("ware", WARES[digits]), "movers": ("mover", MOVERS[digits])}
    for many, (one, nouns) in pools.items():
        first, second = rng.sample(nouns, 2)
        words |= {one: first[0], many: first[1], one + "2": second[0], many + "2": second[1]}
    return words
