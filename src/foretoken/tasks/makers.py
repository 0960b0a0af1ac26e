"""The made tasks, from easy to hard: letters, numbers, brackets, functions that examples tell, words and facts.

Each class says what one solved example is; `MAKERS` at the end names them.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from foretoken.runs.task_section import TaskSection
from foretoken.tasks.draws import Draws
from foretoken.tasks.maker import Hidden, InContext, Maker, Solved, Split, changed
from foretoken.tasks.task import Question

DIGITS = "0123456789abcdef"


def written(number: int, base: int = 10) -> str:
    """A number in its digits.

    >>> written(255, 16), written(0, 2)
    ('ff', '0')
    """
    digits = DIGITS[number % base]
    while number := number // base:
        digits = DIGITS[number % base] + digits
    return digits


def wrong_number(answer: str, draws: Draws, base: int = 10, *, backwards: bool = False) -> str:
    """A number of as many digits, one of them another; where it would begin with 0, the right one again."""
    number = changed(answer, DIGITS[:base], draws)
    return number if number[-1 if backwards else 0] != "0" or len(number) == 1 else answer


@dataclass(frozen=True)
class Addition(Maker):
    """`123+456=` 579. Both orders of two operands are held out together."""

    def draw(self, draws: Draws) -> Solved:
        """Two numbers of up to so many digits, and their sum."""
        base, limit = self.options.base, self.options.base**self.options.digits
        a, b = draws.below(limit), draws.below(limit)
        total = written(a + b, base)
        return Solved(
            f"{written(a, base)}+{written(b, base)}=",
            total[::-1] if self.options.reversed else total,
            key=f"{min(a, b)} {max(a, b)}",
        )

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """A number that differs in one digit."""
        return wrong_number(solved.answer, draws, self.options.base, backwards=self.options.reversed)


@dataclass(frozen=True)
class Modular(Maker):
    """`12+90 mod 97=` 5."""

    def draw(self, draws: Draws) -> Solved:
        """Two residues, and what they give."""
        modulus = self.options.modulus
        a, b = draws.below(modulus), draws.below(modulus)
        result = a + b if self.options.operation == "+" else a * b
        prompt = f"{a}{self.options.operation}{b} mod {modulus}="
        return Solved(prompt, str(result % modulus), key=f"{min(a, b)} {self.options.operation} {max(a, b)}")

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """Any residue."""
        return str(draws.below(self.options.modulus))


@dataclass(frozen=True)
class Operands(Maker):
    """Sums of operands that a Zipf distribution draws; the seed says which are frequent."""

    def draw(self, draws: Draws) -> Solved:
        """Two numbers, each drawn by its frequency."""
        return self._sum(self._operand(draws), self._operand(draws))

    def ask(self, draws: Draws) -> Question:
        """A sum whose first operand has a rank that is log-uniform: frequent and rare ones are asked alike."""

        def asked(draws: Draws) -> Solved:
            return self._sum(self._numbers[int(len(self._numbers) ** draws.share()) - 1], self._operand(draws))

        return self.question(self.wanted(asked, draws, held_out=True), draws)

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """A number that differs in one digit."""
        return wrong_number(solved.answer, draws)

    def _sum(self, a: int, b: int) -> Solved:
        return Solved(f"{a}+{b}=", str(a + b), key=f"{min(a, b)} {max(a, b)}", subjects=(str(a), str(b)))

    def _operand(self, draws: Draws) -> int:
        place = bisect(self._cumulative, draws.share() * self._cumulative[-1])
        return self._numbers[min(place, len(self._numbers) - 1)]

    @cached_property
    def _numbers(self) -> list[int]:
        """All operands, the most frequent first."""
        return Draws(f"operands {self.seed}").shuffled(range(10**self.options.digits))

    @cached_property
    def _cumulative(self) -> list[float]:
        return list(accumulate(rank**-self.options.exponent for rank in range(1, len(self._numbers) + 1)))


@dataclass(frozen=True)
class Linear(InContext):
    """`f(3)=` 17, for an f(x) = a x + b that the examples before it tell: two of them are enough."""

    def function(self, draws: Draws) -> Hidden:
        """A slope from 1, and an intercept."""
        limit = 10**self.options.digits
        a, b = 1 + draws.below(limit - 1), draws.below(limit)

        def examples(draws: Draws, number: int) -> list[Solved]:
            inputs = dict[int, None]()  # all different: an example twice would tell nothing
            while len(inputs) < min(number, limit):
                inputs.setdefault(draws.below(limit))
            return [Solved(f"f({x})=", str(a * x + b)) for x in inputs]

        return Hidden(f"{a} {b}", examples)

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """A number that differs in one digit."""
        return wrong_number(solved.answer, draws)


BRACKETS = ("()", "[]", "{}", "<>")


@dataclass(frozen=True)
class Letters(Maker):
    """`copy bdca=` bdca, `reverse bdca=` acdb, `sort bdca=` abcd."""

    def draw(self, draws: Draws) -> Solved:
        """Random letters."""
        text = "".join(draws.pick(self._letters) for _ in range(self.options.length))
        answers = {"copy": text, "reverse": text[::-1], "sort": "".join(sorted(text))}
        return Solved(f"{self.options.name} {text}=", answers[self.options.name])

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """One letter is another."""
        return changed(solved.answer, self._letters, draws)

    @property
    def _letters(self) -> str:
        return ascii_lowercase[: self.options.letters]


@dataclass(frozen=True)
class Brackets(Maker):
    """`close ([{}=` ]): what closes all that is open. Half of the brackets are closed already, on average."""

    def draw(self, draws: Draws) -> Solved:
        """Brackets of which two in three open, as long as any is open."""
        kinds, text, still_open = BRACKETS[: self.options.kinds], "", ""
        for place in range(self.options.length):
            # The last one opens where all would be closed: an answer is never empty.
            must_open = not still_open or (place == self.options.length - 1 and len(still_open) == 1)
            if must_open or draws.below(3) > 0:
                pair = draws.pick(kinds)
                text, still_open = text + pair[0], pair[1] + still_open
            else:
                text, still_open = text + still_open[0], still_open[1:]
        return Solved(f"close {text}=", still_open)

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """Another bracket, one too few or one too many."""
        closing = "".join(pair[1] for pair in BRACKETS[: self.options.kinds])
        if draws.below(2):
            return changed(solved.answer, closing, draws)
        return solved.answer[1:] if len(solved.answer) > 1 and draws.below(2) else solved.answer + draws.pick(closing)


@dataclass(frozen=True)
class Balanced(Maker):
    """`balanced ([)]=` no. One that is not differs in one bracket from one that is; half are."""

    ANSWERS = ("yes", "no")

    def draw(self, draws: Draws) -> Solved:
        """A balanced text, or one with a bracket changed."""
        kinds, text, still_open = BRACKETS[: self.options.kinds], "", ""
        for left in range(self.options.length, 0, -1):
            if not still_open or (len(still_open) < left and draws.below(2)):
                pair = draws.pick(kinds)
                text, still_open = text + pair[0], pair[1] + still_open
            else:
                text, still_open = text + still_open[0], still_open[1:]
        if draws.below(2):
            return Solved(f"balanced {text}=", "yes")
        broken = text
        while broken == text:
            broken = changed(text, "".join(kinds), draws)
        return Solved(f"balanced {broken}=", "no")


@dataclass(frozen=True)
class Recall(Maker):
    """`a=7 k=2 m=9 k=` 2."""

    ANSWERS = tuple(DIGITS[:10])

    def draw(self, draws: Draws) -> Solved:
        """Pairs of a letter and a digit, and one of the letters."""
        keys = draws.shuffled(ascii_lowercase, self.options.pairs)
        values = {key: draws.pick(DIGITS[:10]) for key in keys}
        asked = draws.pick(keys)
        told = " ".join(f"{key}={value}" for key, value in values.items())
        return Solved(f"{told} {asked}=", values[asked])


@dataclass(frozen=True)
class Lookup(InContext):
    """`g(k)=` 2, for a hidden table of keys that the examples before it tell, one entry each."""

    ANSWERS = tuple(DIGITS[:10])

    def function(self, draws: Draws) -> Hidden:
        """A table from letters to digits."""
        table = {key: draws.pick(DIGITS[:10]) for key in draws.shuffled(ascii_lowercase, self.options.pairs)}

        def examples(draws: Draws, number: int) -> list[Solved]:
            keys = [draws.pick(list(table)) for _ in range(number)]
            return [Solved(f"g({key})=", table[key]) for key in keys]

        return Hidden(" ".join(key + table[key] for key in sorted(table)), examples)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(" "))


def _pairs(text: str) -> dict[str, str]:
    """English words and French ones, as `cat-chat dog-chien`."""
    return {english: french for english, french in (pair.split("-") for pair in _words(text))}


WORDS = _pairs("thanks-merci hello-bonjour yes-oui no-non goodbye-adieu sorry-pardon")
"""Said alone."""
NOUNS = _pairs(
    "cat-chat dog-chien house-maison tree-arbre book-livre horse-cheval river-fleuve king-roi bird-oiseau bread-pain"
    " garden-jardin moon-lune"
)
ADJECTIVES = _pairs("red-rouge black-noir white-blanc green-vert sad-triste strong-fort slow-lent new-neuf")
VERBS = _pairs("sees-voit loves-aime finds-trouve hears-entend follows-suit takes-prend")
FRENCH = [*WORDS.values(), *NOUNS.values(), *ADJECTIVES.values(), *VERBS.values(), "le"]


@dataclass(frozen=True)
class Translation(Maker):
    """`the red cat sees the dog > ` le chat rouge voit le chien.

    Adjectives move behind their noun; nothing is inflected.
    """

    def draw(self, draws: Draws) -> Solved:
        """A word, a noun with or without an adjective, or a sentence of two of these."""
        if draws.below(8) == 0:
            word = draws.pick(list(WORDS))
            return Solved(f"{word} > ", WORDS[word], key=f"word {word}")
        english, french = self._phrase(draws)
        if draws.below(2):
            verb, other = draws.pick(list(VERBS)), self._phrase(draws)
            english, french = f"{english} {verb} {other[0]}", f"{french} {VERBS[verb]} {other[1]}"
        return Solved(f"{english} > ", french)

    def is_held_out(self, key: str) -> bool:
        """A word alone is always there to be learned."""
        return not key.startswith("word ") and super().is_held_out(key)

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """One word is another."""
        words = solved.answer.split()
        words[draws.below(len(words))] = draws.pick(FRENCH)
        return " ".join(words)

    @staticmethod
    def _phrase(draws: Draws) -> tuple[str, str]:
        noun = draws.pick(list(NOUNS))
        if draws.below(2):
            return f"the {noun}", f"le {NOUNS[noun]}"
        adjective = draws.pick(list(ADJECTIVES))
        return f"the {adjective} {noun}", f"le {NOUNS[noun]} {ADJECTIVES[adjective]}"


CITIES = _words(
    "Lima Oslo Paris Cairo Delhi Quito Rome Tokyo Accra Minsk Seoul Dakar Bern Hanoi Kyiv Riga Sofia Tunis Doha Perth"
)
PHRASINGS = (
    "{} was born in ",
    "The home of {} is ",
    "{} lives in ",
    "You can meet {} in ",
    "{} pays taxes in ",
    "Letters for {} go to ",
)
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


@dataclass(frozen=True)
class Facts(Maker):
    """`Bako Teli lives in ` Oslo. Each fact has its number of mentions, from `fewest` to `most`, log-spaced.

    Mentions of a fact are spread evenly over the text; after the last one of all facts they begin again.
    """

    def document(self, split: Split, number: int) -> list[Solved]:
        """The next mentions, in their order."""
        draws, first = self.draws(split, number), number * self.options.examples
        order = self._order
        return [self._said(int(order[(first + one) % len(order)]), draws) for one in range(self.options.examples)]

    def draw(self, draws: Draws) -> Solved:
        """Any fact, in words that may say it."""
        return self._said(draws.below(self.options.facts), draws)

    def mentions(self, documents: int) -> Counter[str]:
        """As of every task, by the order alone: no document is drawn."""
        rounds, rest = divmod(documents * self.options.examples, len(self._order))
        counts = rounds * np.bincount(self._order) + np.bincount(self._order[:rest], minlength=self.options.facts)
        return Counter({name: int(count) for (name, _), count in zip(self._people, counts, strict=True)})

    def questions(self, number: int) -> list[Question]:
        """One for each fact, or for so many of them, evenly spread from the rarest to the commonest."""
        chosen = min(number, self.options.facts)
        facts = (one * self.options.facts // chosen for one in range(chosen))
        return [self.question(self._in_words(fact, self._kept(fact)), self.draws("question", fact)) for fact in facts]

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """Any city."""
        return draws.pick(CITIES)

    def _said(self, fact: int, draws: Draws) -> Solved:
        """A mention, in any way but the one that is kept for the question."""
        ways = self.options.phrasings
        return self._in_words(fact, (self._kept(fact) + 1 + draws.below(max(1, ways - 1))) % ways)

    def _in_words(self, fact: int, way: int) -> Solved:
        name, city = self._people[fact]
        return Solved(PHRASINGS[way].format(name), city, subjects=(name,))

    def _kept(self, fact: int) -> int:
        return fact % self.options.phrasings

    @cached_property
    def _people(self) -> list[tuple[str, str]]:
        """[facts]: name and city; all names differ."""
        draws, people = Draws(f"facts {self.seed}"), dict[str, str]()
        while len(people) < self.options.facts:
            first, last = ("".join(draws.pick(SYLLABLES) for _ in range(2)).title() for _ in range(2))
            people.setdefault(f"{first} {last}", draws.pick(CITIES))
        return list(people.items())

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """[mentions]: the facts as they are mentioned, one after another."""
        draws, facts = Draws(f"order {self.seed}"), self.options.facts
        counts = np.rint(np.geomspace(self.options.fewest, self.options.most, facts)).astype(np.int64)
        # Mention j of c stands at (j + u) / c of the text, with a random u of each fact.
        places = [(np.arange(count) + draws.share()) / count for count in counts]
        return np.repeat(np.arange(facts), counts)[np.argsort(np.concatenate(places), kind="stable")]


MAKERS: dict[str, Callable[[TaskSection, int], Maker]] = {
    "addition": Addition,
    "modular": Modular,
    "operands": Operands,
    "copy": Letters,
    "reverse": Letters,
    "sort": Letters,
    "brackets": Brackets,
    "balanced": Balanced,
    "recall": Recall,
    "lookup": Lookup,
    "linear": Linear,
    "translation": Translation,
    "facts": Facts,
}
"""What makes each task."""
