"""A task that is made by code, as a study file or a caller describes it: its name, and the options that it has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from foretoken.arguments import nearest
from foretoken.runs.section import Section, known_name

Options = dict[str, int | float | str | bool]
INPUTS: Options = {"examples": 8, "held_out": 0.1}
LETTERS: Options = {**INPUTS, "length": 8, "letters": 26, "choices": 0}
DEFAULTS: dict[str, Options] = {
    "addition": {**INPUTS, "digits": 3, "base": 10, "reversed": False, "choices": 0},
    "modular": {**INPUTS, "modulus": 97, "operation": "+", "choices": 0, "held_out": 0.3},
    "operands": {**INPUTS, "digits": 2, "exponent": 1.0, "choices": 0},
    "copy": LETTERS,
    "reverse": LETTERS,
    "sort": LETTERS,
    "brackets": {**INPUTS, "length": 8, "kinds": 3, "choices": 0},
    "balanced": {**INPUTS, "length": 8, "kinds": 3},
    "recall": {**INPUTS, "pairs": 4},
    "lookup": {**INPUTS, "pairs": 4, "examples": 12},
    "linear": {**INPUTS, "digits": 1, "choices": 0, "examples": 12, "held_out": 0.2},
    "translation": {**INPUTS, "choices": 0},
    "facts": {"examples": 8, "facts": 100, "fewest": 1, "most": 10_000, "phrasings": 4, "choices": 4},
}
"""The options of each task with their defaults."""
MOST_MENTIONS = 10_000_000
"""Of all facts together, before they begin again: their order is held in memory."""
MOST_OPERAND_DIGITS = 5


class TaskSection(Section):
    """One task; the keys that its name does not take are refused."""

    name: Annotated[str, known_name(DEFAULTS, "task")]
    share: float = Field(default=0.0, gt=0.0, le=1.0)
    """Of the corpus, in tokens."""
    examples: int = Field(default=0, ge=1, le=1000)
    """Solved examples of one document."""
    held_out: float = Field(default=0.0, gt=0.0, le=0.9)
    """Share of all possible inputs that are asked alone: none of them stands in the training text."""
    choices: int = Field(default=0, ge=0, le=10)
    """Answers that a question may be answered with by likelihood, the right one among them; 0: written freely."""
    digits: int = Field(default=0, ge=1, le=18)
    base: int = Field(default=10, ge=2, le=16)
    reversed: bool = False
    """addition: the answer begins with its last digit, so that carries come before they are needed."""
    modulus: int = Field(default=0, ge=2, le=100_000)
    operation: Literal["+", "*"] = "+"
    exponent: float = Field(default=0.0, ge=0.0, le=5.0)
    """operands: Zipf's, of how often each number is an operand."""
    length: int = Field(default=0, ge=2, le=200)
    """Letters, or brackets, of one input."""
    letters: int = Field(default=0, ge=2, le=26)
    kinds: int = Field(default=0, ge=1, le=4)
    """Of brackets: (), [], {}, <>."""
    pairs: int = Field(default=0, ge=2, le=26)
    """recall: keys with their values in one input; lookup: keys of one hidden table."""
    facts: int = Field(default=0, ge=2, le=10_000)
    fewest: int = Field(default=0, ge=1, le=1_000_000)
    most: int = Field(default=0, ge=1, le=1_000_000)
    """facts: mentions of the rarest and of the commonest fact before all begin again; log-spaced between the two."""
    phrasings: int = Field(default=0, ge=1, le=6)
    """facts: ways to say one; from two on, a fact is asked for in a way in which it is never said."""

    @model_validator(mode="before")
    @classmethod
    def _options_are_the_task_s(cls, given: Any) -> Any:
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(name, str) or name not in DEFAULTS:
            return given
        defaults = DEFAULTS[name]
        for key in given:
            if key in cls.model_fields and key not in {"name", "share", *defaults}:
                near = nearest(str(key), defaults)
                hint = f"; did you mean {near[0]!r}?" if near else ";"
                raise ValueError(f"`{key}` has no effect on the task {name}{hint} known: {', '.join(defaults)}")
        return {**defaults, **given}

    @model_validator(mode="after")
    def _options_agree(self) -> TaskSection:
        if self.choices == 1:
            raise ValueError("choices: 0 for answers that are written freely, else two or more")
        if self.name == "facts" and self.fewest > self.most:
            raise ValueError("`fewest` is above `most`")
        if self.name == "facts" and self.facts * self.most > MOST_MENTIONS:
            raise ValueError(f"`facts` x `most` is above {MOST_MENTIONS}")
        if self.name == "operands" and self.digits > MOST_OPERAND_DIGITS:
            raise ValueError(f"`digits` of operands is above {MOST_OPERAND_DIGITS}: each number has a frequency")
        if self.name in ("brackets", "balanced") and self.length % 2:
            raise ValueError("`length` of brackets must be even")
        if self.choices > (possible := self.modulus or 10):
            raise ValueError(f"`choices` is above {possible}, the answers that there are")
        return self

    @model_serializer
    def _as_it_was_given(self) -> Options:
        """Without the keys of other tasks, so that it can be read again."""
        return dict(self.options) | ({"share": self.share} if self.share else {})

    @property
    def options(self) -> tuple[tuple[str, int | float | str | bool], ...]:
        """All that makes its text, defaults included, with its name."""
        return tuple((key, getattr(self, key)) for key in {"name": "", **DEFAULTS[self.name]})

    @property
    def title(self) -> str:
        """Its name and the options that are not its defaults.

        >>> TaskSection(name="addition", digits=2).title
        'addition(digits=2)'
        """
        defaults = {"name": self.name, **DEFAULTS[self.name]}
        own = [f"{key}={value}" for key, value in self.options if value != defaults[key]]
        return self.name + (f"({', '.join(own)})" if own else "")
