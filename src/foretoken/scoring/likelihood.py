"""Log-probabilities of texts after prompts: each prompt is read once, and what all prompts begin with once for all.

Sequences that are read side by side have equal lengths, so there is no padding, and a number does not depend on what
else was asked for (but for rounding).

Shapes: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from foretoken.compute.families import FAMILIES, cannot
from foretoken.compute.objective import PAD
from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.errors import CorpusError
from foretoken.generation import Model
from foretoken.generation.cache import Cache, start_cache
from foretoken.generation.model import finite_logits
from foretoken.scoring.gaps import Tokens, encode_pieces, with_sentinels
from foretoken.tasks.task import Masks, Question

BATCH_TOKENS, BATCH_LOGITS = 2**13, 2**24
"""Positions and logits that are computed at once, at most."""


class Request(NamedTuple):
    """A text whose log-probability is asked for, after a prompt."""

    prompt: Tokens
    text: Tokens
    places: tuple[int, ...] = ()
    """Of an encoder: where in the prompt, which has all of it, each token of the text stands."""
    masks: Masks = "together"
    """Of an encoder: which of them are hidden at once."""


@dataclass(frozen=True)
class Likelihood:
    """What a model says of a text after a prompt."""

    logprobs: tuple[float, ...]
    """Of each token, in nats."""
    greedy: bool
    """Whether each token is the likeliest where it stands, so that a model which takes the likeliest writes the text.
    """

    @property
    def logprob(self) -> float:
        """Of the whole text, in nats."""
        return math.fsum(self.logprobs)


class Batch(NamedTuple):
    """Prompts of one length that were read side by side."""

    prompts: list[Tokens]
    cache: Cache
    logits: Tensor
    """Of the token after each, [B, V]."""


class Reader:
    """A model that reads prompts: how they are framed, how much fits, and the cache after them.

    A causal model reads the prompt, a prefix model sees it in both directions, the encoder of an encoder-decoder reads
    it and the decoder writes the text. What was trained with span corruption fills gaps, for which sentinels stand in
    the prompt. Raises DesignError for an encoder.
    """

    def __init__(self, model: Model) -> None:
        family = model.family
        if not family.generates:
            able = [record for record in FAMILIES.values() if record.generates]
            cure = f"foretoken fill-mask {model.name}, foretoken finetune, or another model"
            raise cannot(family.name, "say how likely a text is: it sees what comes after", able, cure)
        self.model, self.two_stacks = model, family.two_stacks
        self.shows_prefix = not self.two_stacks and model.objective.shows_prefix(family)

    def split(self, prompt: str, text: str) -> Request:
        """The tokens of a prompt and of the text after it.

        Blanks at the end of the prompt belong to the text, since tokenizers put them before words. Where the tokens of
        both together do not begin with those of the prompt, each is encoded by itself.
        """
        kept = prompt if isinstance(self.model.tokenizer, SymbolTokenizer) or self.two_stacks else prompt.rstrip()
        before, whole = self.model.encode(kept), self.model.encode(prompt + text)
        after = whole[len(before) :]
        # a tokenizer may merge letters across the border, and then the border has no place in `whole`
        if whole[: len(before)] != before or not after or self.two_stacks:
            after = self.model.encode(prompt[len(kept) :] + text)
        return Request(tuple(before), tuple(after))

    def fills(self, question: Question) -> bool:
        """Whether what stands behind an answer is seen, and not weighed with it."""
        return question.after is not None and self.model.objective.corrupts_spans

    def request(self, prompt: str, question: Question, answer: str, masks: Masks) -> Request:
        """What is asked for an answer to a question: of one that fills a gap all of the target, with its sentinels.

        Raises CorpusError for more gaps than there are sentinels.
        """
        if self.fills(question):
            return Request(*with_sentinels(self.model, encode_pieces(self.model, [prompt, *question.pieces(answer)])))
        return self.split(prompt, question.filled(answer))

    def fits(self, request: Request) -> bool:
        """Whether the network can read it."""
        return self.room(len(self.framed(request.prompt)), len(request.text)) >= 0

    def weigh(self, requests: Sequence[Request]) -> list[Likelihood]:
        """As `likelihoods` has it."""
        return likelihoods(self, requests)

    @property
    def begins_alone(self) -> bool:
        """Whether a text can stand after no prompt at all."""
        return bool(self.model.before) or self.model.separator is not None or self.two_stacks

    def framed(self, prompt: Sequence[int]) -> Tokens:
        """All that is read before a text. Raises CorpusError where nothing stands before it."""
        model = self.model
        read = (*model.before, *prompt, *(model.after if self.two_stacks else ()))
        if not read and model.separator is not None:
            read = (model.separator,)
        if not read and self.two_stacks:
            read = (self._first_of_target(),)
        if not read:
            raise CorpusError(
                "there is no prompt",
                expected="one token or more",
                got="none",
                cure="give one: nothing else begins a text of this model",
            )
        return read

    def _first_of_target(self) -> int:
        if PAD not in self.model.specials:
            raise CorpusError(
                f"the tokenizer has no {PAD}, which a target begins with",
                expected=f"a special token {PAD}",
                got=f"{', '.join(self.model.specials) or 'no special tokens'} in {self.model.name}",
                cure=f"give a model whose tokenizer has {PAD}",
            )
        return self.model.specials[PAD]

    def room(self, framed: int, text: int = 0) -> int:
        """Positions that are left after a framed prompt and a text; below 0 where they do not fit."""
        shape = self.model.network.shape
        if self.model.family.recurrent:
            return BATCH_TOKENS
        # The last token of a text is predicted and not read.
        if self.two_stacks:
            return min(shape.context - framed, shape.second_context - max(text, 1))
        return shape.context - framed - max(text - 1, 0)

    def batches(self, prompts: Sequence[Tokens]) -> Iterator[Batch]:
        """The framed prompts, each once, in batches of one length."""
        unique = sorted(set(prompts), key=lambda prompt: (len(prompt), prompt))
        shared = 0
        # What is seen in both directions, or read by an encoder, depends on all of it: nothing of it can be shared.
        if len(unique) > 1 and not self.shows_prefix and not self.two_stacks:
            shared = min(_begin_alike(min(unique), max(unique)), len(unique[0]) - 1)
        # at least one token is left to each prompt, whose logits are the ones that are asked for
        cache = start_cache(self.model.network) if shared else None
        if cache is not None:
            cache.read(torch.tensor([unique[0][:shared]]), last=True)
        vocabulary = self.model.network.shape.vocabulary

        def most(length: int) -> int:
            return min(BATCH_TOKENS // length, BATCH_LOGITS // vocabulary)

        for numbers in side_by_side([len(prompt) for prompt in unique], most):
            yield self._read([unique[number] for number in numbers], cache, shared)

    def _read(self, batch: list[Tokens], shared_cache: Cache | None, shared: int) -> Batch:
        network, tokens_BT = self.model.network, torch.tensor(batch)
        if self.two_stacks:
            cache = start_cache(network, source_BS=tokens_BT)
            tokens_BT = torch.full((len(batch), 1), self._first_of_target())
        elif shared_cache is not None:
            cache, tokens_BT = shared_cache.fork(torch.zeros(len(batch), dtype=torch.long)), tokens_BT[:, shared:]
        else:
            cache = start_cache(network, prefix=tokens_BT.shape[1] if self.shows_prefix else 0)
        return Batch(batch, cache, finite_logits(cache.read(tokens_BT, last=True)[:, -1]))


@torch.no_grad()
def likelihoods(reader: Reader, requests: Sequence[Request]) -> list[Likelihood]:
    """The log-probability of each text after its prompt, in the order of the requests.

    Raises CorpusError for an empty prompt where nothing else begins a text, CheckpointError for damaged weights.
    """
    framed = [reader.framed(request.prompt) for request in requests]
    numbers: dict[Tokens, list[int]] = defaultdict(list)
    for number, prompt in enumerate(framed):
        numbers[prompt].append(number)
    # every place is filled below: each framed prompt is in exactly one batch
    found: list[Likelihood] = [Likelihood((), True)] * len(requests)
    for batch in reader.batches(framed):
        asked = [(row, number) for row, prompt in enumerate(batch.prompts) for number in numbers[prompt]]
        texts = [requests[number].text for _, number in asked]
        rows = [row for row, _ in asked]
        for (_, number), one in zip(asked, _after(batch, rows, texts), strict=True):
            found[number] = one
    return found


def _after(batch: Batch, rows: Sequence[int], texts: Sequence[Tokens]) -> list[Likelihood]:
    """The log-probabilities of texts after the prompts of a batch that stand in these rows."""
    first_BV, vocabulary = batch.logits.log_softmax(-1), batch.logits.shape[-1]
    best_B = first_BV.argmax(-1).tolist()
    logprobs = [[float(first_BV[row, text[0]])] if text else [] for row, text in zip(rows, texts, strict=True)]
    greedy = [not text or best_B[row] == text[0] for row, text in zip(rows, texts, strict=True)]
    longer = [number for number, text in enumerate(texts) if len(text) > 1]

    def most(length: int) -> int:
        return min(BATCH_TOKENS // (batch.cache.length + length), BATCH_LOGITS // (length * vocabulary))

    # the first token of each is known from the prompt itself; only longer texts are read on
    for group in side_by_side([len(texts[number]) for number in longer], most):
        group = [longer[number] for number in group]
        tokens_BT = torch.tensor([texts[number] for number in group])
        # several choices of one question go on from the same row
        cache = batch.cache.fork(torch.tensor([rows[number] for number in group]))
        logprobs_BTV = finite_logits(cache.read(tokens_BT[:, :-1])).log_softmax(-1)
        each_BT = logprobs_BTV.gather(2, tokens_BT[:, 1:, None])[..., 0]
        likeliest_B = (logprobs_BTV.argmax(-1) == tokens_BT[:, 1:]).all(1)
        for number, each, likeliest in zip(group, each_BT.tolist(), likeliest_B.tolist(), strict=True):
            logprobs[number] += each
            greedy[number] &= likeliest
    return [Likelihood(tuple(each), all_best) for each, all_best in zip(logprobs, greedy, strict=True)]


def _begin_alike(first: Tokens, second: Tokens) -> int:
    """Tokens that two sequences begin with alike; of the first and the last in order, all between them do too."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def side_by_side(lengths: Sequence[int], most: Callable[[int], int]) -> Iterator[list[int]]:
    """The numbers of sequences that are read at once: of one length, and of length T at most `most(T)`.

    >>> list(side_by_side([5, 3, 5, 3, 5], most=lambda length: 2))
    [[1, 3], [0, 2], [4]]
    """
    by_length = defaultdict(list)
    for number, length in enumerate(lengths):
        by_length[length].append(number)
    for length, numbers in sorted(by_length.items()):
        rows = max(1, most(length))
        yield from (numbers[start : start + rows] for start in range(0, len(numbers), rows))
