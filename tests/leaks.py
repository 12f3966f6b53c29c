"""Planted leaks: test questions as they slip into training sets, made by rule from real ones.

- `verbatim`: as it is, but for case, spaces and end punctuation;
- `change_numbers`: every number in figures replaced by another of as many digits;
- `paraphrase`: no model, three kinds of rule together. People get other names, the same throughout; words and turns
  of phrase are replaced from a table of some ninety synonyms, each that occurs; and every other sentence that joins
  two clauses by a comma, "and" or "because" has them turned round. Numbers stay, some as words. It is gentler than a
  person or a model would be: sentences keep their order.
"""

from __future__ import annotations

import random
import re

_NAMES = (
    "Aroha", "Bertil", "Chiara", "Dagny", "Emeka", "Farid", "Greta", "Hamish", "Ines", "Joaquin", "Kalani", "Lior",
    "Mireia", "Nils", "Oona", "Pavel",
)  # fmt: skip
_SYNONYMS = {
    "buys": "purchases", "bought": "purchased", "buy": "purchase", "sells": "vends", "sold": "vended",
    "has": "owns", "had": "owned", "gives": "hands over", "gave": "handed over", "makes": "produces",
    "made": "produced", "eats": "consumes", "ate": "consumed", "gets": "receives", "got": "received",
    "wants": "wishes", "needs": "requires", "spends": "pays out", "spent": "paid out", "earns": "brings in",
    "earned": "brought in", "costs": "is priced at", "cost": "price", "works": "labours", "worked": "laboured",
    "goes": "travels", "went": "travelled", "runs": "jogs", "walks": "strolls", "walked": "strolled",
    "drives": "motors", "takes": "uses", "took": "used", "finds": "discovers", "found": "discovered",
    "starts": "begins", "started": "began", "finishes": "completes", "uses": "employs", "used": "employed",
    "puts": "places", "each": "every single", "every": "each", "total": "overall", "altogether": "all told",
    "many": "large a number of", "more": "additional", "left": "remaining", "rest": "remainder",
    "twice": "two times", "half": "one half", "money": "cash", "kids": "children", "children": "kids",
    "store": "shop", "shop": "store", "friends": "pals", "friend": "pal", "big": "large", "large": "big",
    "small": "little", "day": "date", "job": "post", "class": "course", "students": "pupils",
    "teacher": "instructor", "house": "home", "home": "house", "car": "automobile", "bag": "sack",
    "bags": "sacks", "box": "crate", "boxes": "crates", "party": "celebration", "book": "volume",
    "books": "volumes", "animals": "creatures", "if": "given that", "then": "afterwards", "after": "following",
    "before": "ahead of", "how much": "what amount of", "also": "in addition", "because": "since",
    "only": "just", "first": "initial", "last": "final", "decides": "chooses", "decided": "chose",
    "wife": "spouse", "husband": "spouse", "trip": "journey", "price": "cost", "cookies": "biscuits",
    "candy": "sweets", "movie": "film", "movies": "films", "soda": "lemonade", "pounds": "lb",
    "minutes": "mins", "hours": "hrs",
}  # fmt: skip
_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def verbatim(question: str, seed: int) -> str:
    return question.upper() if seed % 3 == 0 else "  " + question.replace(" ", "  ").rstrip(".?!") + " "


def change_numbers(question: str, seed: int) -> str:
    rng = random.Random(seed)

    def other(match: re.Match[str]) -> str:
        digits = [rng.choice("123456789") if char.isdigit() else char for char in match.group().rstrip(",")]
        return "".join(digits) + ("," if match.group().endswith(",") else "")

    return _NUMBER.sub(other, question)


def paraphrase(question: str, seed: int) -> str:
    rng = random.Random(seed)
    text = _rename(question, rng)
    text = re.sub(r"(?<![\d.,$])\b(\d{1,2})\b(?![\d.,%/])", lambda m: _in_words(m.group(1), rng), text)
    for word, other in sorted(_SYNONYMS.items(), key=lambda pair: -len(pair[0])):
        text = re.sub(rf"\b{word}\b", f"\x00{other}\x00", text)  # fenced: no word is replaced twice
    text = text.replace("\x00", "")
    return " ".join(
        _turn(sentence) if index % 2 == 0 else sentence
        for index, sentence in enumerate(re.split(r"(?<=[.?!])\s+", text))
    )


def _rename(text: str, rng: random.Random) -> str:
    inside = set(re.findall(r"(?<=[a-z,] )([A-Z][a-z]+)\b", text)) | set(re.findall(r"\b([A-Z][a-z]+)'s\b", text))
    common = {
        "I",
        "The",
        "He",
        "She",
        "They",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    }
    for name, other in zip(sorted(inside - common), rng.sample(_NAMES, len(_NAMES)), strict=False):
        text = re.sub(rf"\b{name}\b", other, text)
    return text


def _in_words(digits: str, rng: random.Random) -> str:
    return _SMALL[int(digits)] if int(digits) < len(_SMALL) and rng.random() < 0.5 else digits


def _turn(sentence: str) -> str:
    """`A, B.` as `B, A.`"""
    body, end = (sentence[:-1], sentence[-1]) if sentence[-1:] in ".?!" else (sentence, "")
    for joint in (" and ", " because ", ", "):
        first, found, second = body.partition(joint)
        if found and len(first.split()) > 3 and len(second.split()) > 3:
            return f"{second[0].upper()}{second[1:]}{joint}{first[0].lower()}{first[1:]}{end}"
    return sentence
