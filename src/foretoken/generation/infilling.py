"""Filling spans: what a model trained with span corruption puts in the place of each sentinel of a text.

Its answer is "<X> for inviting <Y> last <Z>" (Raffel et al. 2019, arXiv 1910.10683). That form is kept by force: a
blank gets at least one token, and the next sentinel comes in its turn, at the latest when the blank is full.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from foretoken.compute.objective import PAD
from foretoken.errors import CorpusError, DesignError, ForetokenError
from foretoken.generation.cache import Cache, start
from foretoken.generation.constrained import Answer, Form, drawn, searched
from foretoken.generation.load import Source, open_model
from foretoken.generation.model import Model, checked
from foretoken.generation.sampler import Chance, Choice

BLANK = re.compile(r"<[XYZ]>|<extra_id_\d{1,4}>")
LONGEST = 32
"""Tokens of a blank unless asked otherwise."""


@dataclass(frozen=True, kw_only=True)
class Blank:
    """What stands in the place of one sentinel."""

    name: str
    text: str
    tokens: list[int]
    logprobs: list[float]
    """The model's log-probability of each token, in nats."""


@dataclass(frozen=True, kw_only=True)
class Infilled:
    """A text whose blanks are filled."""

    model: str
    prompt: str
    text: str
    blanks: list[Blank]
    logprob: float
    """Of the whole answer, its sentinels included, in nats."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@torch.no_grad()
def infill(
    source: Source,
    text: str,
    *,
    tokens: int | None = None,
    beams: int = 1,
    temperature: float = 0.0,
    top_k: int = 40,
    top_p: float = 0.95,
    seed: int = 0,
    run: str | None = None,
) -> Infilled:
    """Fill the blanks <X>, <Y>, <Z> or <extra_id_0>, <extra_id_1>, ... of a text, in the order in which they stand.

    `source` and `run` are those of `open_model`; `tokens` is the most that a blank may get (32, or what fits).
    Greedy, or the best answer of a search with `beams`, or drawn at a `temperature`. The blank before a sentinel
    belongs to what it stands for, where tokens hold the blank before their word.
    Raises DesignError for a model that was not trained with span corruption, CorpusError for a text without blanks,
    with more than the model has sentinels, or longer than its context.
    """
    model, choice = open_model(source, run), Choice(temperature=temperature, top_k=top_k, top_p=top_p)
    sentinels, names = _sentinels(model), BLANK.findall(text)
    _check_names(names, len(sentinels), text)
    if beams < 1 or (beams > 1 and temperature):
        raise ForetokenError("beams cannot be so", expected="1 or more, and above 1 at temperature 0", got=str(beams))
    marks = dict(zip(names, sentinels, strict=False))
    shortened = model.without_blanks(text, names)
    read = [*model.before, *model.encode_around(shortened, marks), *model.after]
    form = Form(model, sentinels[: len(names) + 1], _most(model, len(read), len(names), tokens))
    cache, first = _begin(model, read)
    if temperature:
        answer, logprobs = drawn(form, cache, first, choice, Chance(seed, 1))
    else:
        answer, logprobs = searched(form, cache, first, beams)
    return _told(model, text, shortened, names, form.cut(answer, logprobs), sum(logprobs))


def _sentinels(model: Model) -> list[int]:
    if model.objective.kind != "span_corruption":
        raise DesignError(
            "this model was not trained to fill spans",
            expected="a model that was trained with the span_corruption objective",
            got=f"{model.name}, family {model.family}, objective {model.objective.kind}",
            cure="foretoken fill-mask" if model.family == "encoder" else "foretoken sample",
        )
    names = sorted(
        (name for name in model.specials if name.startswith("<extra_id_")), key=lambda name: int(name[10:-1])
    )
    if not names or (model.family == "encoder_decoder" and PAD not in model.specials):
        raise CorpusError(f"the tokenizer of {model.name} has no sentinels", expected=f"{PAD}, <extra_id_0>, ...")
    return [model.specials[name] for name in names]


def _check_names(names: list[str], sentinels: int, text: str) -> None:
    if not names:
        raise CorpusError("the text has no blank", expected="<X> or <extra_id_0> in it", got=repr(text[:100]))
    if len(set(names)) < len(names):
        raise CorpusError("a blank is named twice", expected="each name once", got=", ".join(names))
    if len(names) > sentinels - 1:
        raise CorpusError(
            "the text has more blanks than the model has sentinels",
            expected=f"at most {sentinels - 1} (one more sentinel ends the answer)",
            got=f"{len(names)}: {', '.join(names[:8])}",
            cure="fill some of them first",
        )


def _most(model: Model, read: int, blanks: int, asked: int | None) -> int:
    """Tokens that a blank may get."""
    shape = model.network.shape
    room = shape.decoder_context or shape.context
    if model.family == "prefix":
        room = shape.context + 1 - read
    else:
        model.check_room(read, shape.context, "the text")
    fits = (room - blanks - 1) // blanks
    if fits < 1 or (asked or 1) > fits:
        raise CorpusError(
            "the answer would be longer than the model's context",
            expected=f"at most {max(fits, 0)} tokens per blank",
            got=f"{asked or 1} for each of {blanks} blanks",
            cure="shorten the text, or ask for fewer tokens",
        )
    if asked is not None and asked < 1:
        raise ForetokenError("tokens must be at least 1", got=str(asked))
    return asked or min(LONGEST, fits)


def _begin(model: Model, read: list[int]) -> tuple[Cache, Tensor]:
    """The network behind the text, and logits of the answer's first token, [1, V]."""
    if model.family == "encoder_decoder":
        cache, read = start(model.network, source_BS=torch.tensor([read])), [model.specials[PAD]]
    else:
        cache = start(model.network, prefix=len(read))
    return cache, checked(cache.read(torch.tensor([read])))[:, -1]


def _told(
    model: Model,
    text: str,
    shortened: str,
    names: list[str],
    fills: list[Answer],
    logprob: float,
) -> Infilled:
    """The text with its blanks filled."""
    behind: list[int] = []
    told, blanks = "", []
    parts = BLANK.split(shortened)
    for part, name, (tokens, logprobs) in zip(parts, names, fills, strict=False):
        behind += model.encode(part)
        filled = model.decode(tokens, behind)
        behind += tokens
        told += part + filled
        blanks.append(Blank(name=name, text=filled, tokens=tokens, logprobs=logprobs))
    return Infilled(model=model.name, prompt=text, text=told + parts[-1], blanks=blanks, logprob=logprob)
