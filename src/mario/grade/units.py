"""Units of measure: spellings to one normal form, so that `miles per hour` and `mph` agree.

What this file does not do: no conversion. Different units differ (metres are not feet, and not centimetres):
a grader that converts would accept an answer in the wrong unit.
"""

from __future__ import annotations

_SPELLINGS = """
m meter meters metre metres
cm centimeter centimeters centimetre centimetres cms
mm millimeter millimeters millimetre millimetres
km kilometer kilometers kilometre kilometres kms
in inch inches
ft foot feet
yd yard yards yds
mi mile miles
s second seconds sec secs
min minute minutes mins
h hour hours hr hrs
day days
week weeks
month months
year years yr yrs
g gram grams gm
kg kilogram kilograms kgs
mg milligram milligrams
lb pound pounds lbs
oz ounce ounces
ton tons
L liter liters litre litres l
mL ml milliliter milliliters millilitre millilitres
gal gallon gallons
qt quart quarts
pt pint pints
cup cups
dollar dollars usd bucks buck
cent cents
euro euros eur
gbp sterling
rupee rupees rs
yen
deg degree degrees
rad radian radians
pct percent percentage
mph
kph kmph
rpm
wpm
N newton newtons
J joule joules
W watt watts
Pa pascal pascals
V volt volts
A ampere amperes amp amps
Hz hertz
K kelvin kelvins
mol mole moles
acre acres
point points pts
people person persons
student students
"""

NORMAL = {word: line.split()[0] for line in _SPELLINGS.strip().splitlines() for word in line.split()}
# Read as a unit when written plainly after a number: longer names only, `m` or `s` alone may be a variable.
PLAIN = frozenset(word for word in NORMAL if len(word) > 1)
NEUTRAL = frozenset({"unit", "units"})
_COMPOUND = {"mi/h": "mph", "km/h": "kph", "word/min": "wpm", "words/min": "wpm", "revolutions/min": "rpm"}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}


def normalize(parts: list[str]) -> str:
    """Normal form of a unit given as words, `/`, `^2`, ...; empty for `units`, which says nothing.

    >>> normalize(["square", "inches"]), normalize(["miles", "per", "hour"])
    ('in^2', 'mph')
    """
    out: list[str] = []
    power = 0
    for part in parts:
        word = part.strip(".").replace(" ", "")
        low = word.lower()
        if low in _POWERS:
            power = _POWERS[low]
        elif word.startswith("^"):
            if out and word != "^1":
                out[-1] += word
        elif low in ("per", "/", "a", "an", "each", "every"):
            out.append("/")
        elif low in NEUTRAL or not word:
            if power:
                power = 0
        else:
            name = NORMAL.get(word) or NORMAL.get(low) or low
            out.append(f"{name}^{power}" if power else name)
            power = 0
    joined = " ".join(out).replace(" / ", "/")
    if joined.startswith("^"):
        return ""
    return _COMPOUND.get(joined, joined)


CURRENCY = {"$": "dollar", "£": "gbp", "€": "euro", "¥": "yen", "₹": "rupee"}
