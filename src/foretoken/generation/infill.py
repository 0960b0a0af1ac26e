"""Filling spans: the text that a model trained with span corruption gives for each sentinel.

Its answer is "<X> for inviting <Y> last <Z>" (Raffel et al. 2019, arXiv 1910.10683). That form is enforced: a blank
gets at least one token, and the next sentinel follows in order, at the latest when the blank is full.

Shapes: B answers side by side, V vocabulary.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from foretoken.arguments import takes
from foretoken.compute.objective import PAD
from foretoken.errors import CorpusError, DesignError, ForetokenError
from foretoken.generation.cache import Cache, start_cache
from foretoken.generation.load import ModelSource, open_model
from foretoken.generation.model import Model, finite_logits
from foretoken.generation.sampler import RandomStreams, SamplingOptions, mask_logits
from foretoken.results import Result

Answer = tuple[list[int], list[float]]
"""Tokens, and the log-probability of each."""
BLANK = re.compile(r"<[XYZ]>|<extra_id_\d{1,4}>")
DEFAULT_LONGEST = 32
"""Tokens of a blank at most, unless asked otherwise."""


@dataclass(frozen=True, kw_only=True)
class Blank:
    """The text that fills one sentinel."""

    name: str
    text: str
    tokens: list[int]
    logprobs: list[float]
    """The model's log-probability of each token, in nats."""


@dataclass(frozen=True, kw_only=True)
class InfilledText(Result):
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


@dataclass(frozen=True)
class InfillRequest(SamplingOptions):
    """A model, a text with blanks, and how to fill them."""

    source: ModelSource
    """A study with kept weights, or a folder of safetensors."""
    text: str
    """With blanks <X>, <Y>, <Z> or <extra_id_0>, <extra_id_1>, ..., each once."""
    _: KW_ONLY
    tokens: int | None = None
    """Tokens of a blank at most; 32, or as many as fit, unless given."""
    beams: int = 1
    """Answers that the search follows side by side; 1 is greedy."""
    temperature: float = 0.0
    """Above 0 the answer is sampled, not searched for."""
    seed: int = 0
    """Of the sampling."""
    run: str | None = None
    """Of a study, the run whose key begins so, in place of its target."""


@takes(InfillRequest)
@torch.no_grad()
def infill(request: InfillRequest) -> InfilledText:
    """Fill the blanks of a text by a model that was trained with span corruption, in the order in which they stand.

    The arguments are the fields of `InfillRequest`. Where tokens hold the space before their word, the space before a
    blank belongs to the blank.

    Raises DesignError for a model that was not trained with span corruption, CorpusError for a text without blanks,
    with more than the model has sentinels, or longer than its context.
    """
    model, text = open_model(request.source, request.run), request.text
    beams, temperature = request.beams, request.temperature
    sentinels, names = _sentinels(model), BLANK.findall(text)
    _check_names(names, len(sentinels), text)
    if beams < 1 or (beams > 1 and temperature):
        raise ForetokenError(
            "invalid value of beams", expected="1 or more, and above 1 at temperature 0", got=str(beams)
        )
    sentinel_of = dict(zip(names, sentinels, strict=False))
    stripped = model.strip_spaces_before(text, names)
    source_tokens = [*model.before, *model.encode_with_specials(stripped, sentinel_of), *model.after]
    longest = _longest_blank(model, len(source_tokens), len(names), request.tokens)
    grammar = AnswerGrammar(model, sentinels[: len(names) + 1], longest)
    cache, logits_1V = _begin(model, source_tokens)
    if temperature:
        answer, logprobs = sample_answer(grammar, cache, logits_1V, request, RandomStreams(request.seed, 1))
    else:
        answer, logprobs = beam_search(grammar, cache, logits_1V, beams)
    blanks, filled = _fill(model, stripped, names, grammar.split(answer, logprobs))
    return InfilledText(model=model.name, prompt=text, text=filled, blanks=blanks, logprob=sum(logprobs))


def _sentinels(model: Model) -> list[int]:
    if not model.objective.corrupts_spans:
        raise DesignError(
            "this model was not trained to fill spans",
            expected="a model that was trained with the span_corruption objective",
            got=f"{model.name}, family {model.family.name}, objective {model.objective.kind}",
            cure="foretoken fill-mask" if not model.family.generates else "foretoken sample",
        )
    sentinels = model.sentinels
    if not sentinels or (model.family.two_stacks and PAD not in model.specials):
        raise CorpusError(f"the tokenizer of {model.name} has no sentinels", expected=f"{PAD}, <extra_id_0>, ...")
    return sentinels


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


def _longest_blank(model: Model, source_tokens: int, blanks: int, wanted: int | None) -> int:
    """Tokens that a blank may get."""
    shape = model.network.shape
    room = shape.second_context
    if not model.family.two_stacks:
        # The last token of the answer need not be read again, so answer and source may be one longer than the context.
        room = shape.context + 1 - source_tokens
    else:
        model.check_fits(source_tokens, shape.context, "the text")
    # An answer of n blanks has n + 1 sentinels beside the texts.
    fits = (room - blanks - 1) // blanks
    if fits < 1 or (wanted or 1) > fits:
        raise CorpusError(
            "the answer would be longer than the model's context",
            expected=f"at most {max(fits, 0)} tokens per blank",
            got=f"{wanted or 1} for each of {blanks} blanks",
            cure="shorten the text, or ask for fewer tokens",
        )
    if wanted is not None and wanted < 1:
        raise ForetokenError("tokens must be at least 1", got=str(wanted))
    return wanted or min(DEFAULT_LONGEST, fits)


def _begin(model: Model, source_tokens: list[int]) -> tuple[Cache, Tensor]:
    """The network after it has read the text, and the logits of the answer's first token, [1, V]."""
    if model.family.two_stacks:
        cache = start_cache(model.network, source_BS=torch.tensor([source_tokens]))
        first = [model.specials[PAD]]
    else:
        cache, first = start_cache(model.network, prefix=len(source_tokens)), source_tokens
    return cache, finite_logits(cache.read(torch.tensor([first])))[:, -1]


def _fill(model: Model, text: str, names: list[str], answers: list[Answer]) -> tuple[list[Blank], str]:
    """The blanks, and the text with them filled."""
    context: list[int] = []
    filled, blanks = "", []
    parts = BLANK.split(text)
    for part, name, (tokens, logprobs) in zip(parts, names, answers, strict=False):
        # A token is decoded after the tokens before it: alone it might lose its space.
        context += model.encode(part)
        blank = model.decode(tokens, context)
        context += tokens
        filled += part + blank
        blanks.append(Blank(name=name, text=blank, tokens=tokens, logprobs=logprobs))
    return blanks, filled + parts[-1]


class AnswerGrammar:
    """What may come next in an answer: sentinel, one to `longest` tokens of text, sentinel, ..., last sentinel."""

    def __init__(self, model: Model, sentinels: list[int], longest: int) -> None:
        self.sentinels, self.longest = sentinels, longest
        self.ends = {sentinels[-1], model.separator} - {None}
        self.text_V = model.text_tokens.clone()
        if model.separator is not None:
            self.text_V[model.separator] = False

    def allowed(self, answer: list[int]) -> Tensor:
        """[V] the tokens that may follow an unfinished answer."""
        passed = [position for position, token in enumerate(answer) if token in self.sentinels]
        # Before the first sentinel the blank counts as full, so that nothing but this sentinel may come.
        length = len(answer) - passed[-1] - 1 if passed else self.longest
        allowed_V = self.text_V if length < self.longest else torch.zeros_like(self.text_V)
        if not passed or length:
            allowed_V = allowed_V.clone()
            allowed_V[self.sentinels[len(passed)]] = True
            if passed and len(passed) == len(self.sentinels) - 1:
                allowed_V[list(self.ends)] = True
        return allowed_V

    def is_complete(self, answer: list[int]) -> bool:
        """Whether an answer has ended."""
        return answer[-1] in self.ends

    def split(self, answer: list[int], logprobs: list[float]) -> list[Answer]:
        """Tokens and log-probabilities of each blank."""
        borders = [position for position, token in enumerate(answer) if token in self.sentinels or token in self.ends]
        return [(answer[a + 1 : b], logprobs[a + 1 : b]) for a, b in pairwise(borders)]


def sample_answer(
    grammar: AnswerGrammar, cache: Cache, logits_1V: Tensor, options: SamplingOptions, streams: RandomStreams
) -> Answer:
    """An answer whose tokens are sampled, from the logits of its first token."""
    answer: list[int] = []
    logprobs: list[float] = []
    while not answer or not grammar.is_complete(answer):
        if answer:
            logits_1V = finite_logits(cache.read(torch.tensor([answer[-1:]])))[:, -1]
        token = int(streams.draw(options.probabilities(mask_logits(logits_1V, grammar.allowed(answer)))))
        answer.append(token)
        logprobs.append(float(logits_1V.log_softmax(-1)[0, token]))
    return answer, logprobs


def beam_search(grammar: AnswerGrammar, cache: Cache, logits_BV: Tensor, beams: int) -> Answer:
    """The most probable answer that a search with this many answers side by side meets."""
    live: list[Answer] = [([], [])]
    best: Answer | None = None
    while live:
        logprobs_BV = logits_BV.log_softmax(-1)
        extended = []
        for row, (answer, logprobs) in enumerate(live):
            top = mask_logits(logprobs_BV[row], grammar.allowed(answer)).topk(min(beams, logprobs_BV.shape[1]))
            for value, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
                if value > float("-inf"):
                    extended.append((sum(logprobs) + value, row, [*answer, token], [*logprobs, value]))
        extended.sort(key=lambda beam: -beam[0])
        rows, live = [], []
        for score, row, answer, logprobs in extended[:beams]:
            if best is not None and score <= sum(best[1]):
                break
            if grammar.is_complete(answer):
                # Log-probabilities are at most 0: what comes later in the order, or grows longer, is less probable.
                best = answer, logprobs
                break
            rows.append(row)
            live.append((answer, logprobs))
        if live:
            cache.select(torch.tensor(rows))
            logits_BV = finite_logits(cache.read(torch.tensor([answer[-1:] for answer, _ in live])))[:, -1]
    assert best is not None
    return best
