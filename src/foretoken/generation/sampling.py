"""Continuing a text: causal and prefix models with what they have read, encoder-decoders with a target."""

from __future__ import annotations

import math
import sys
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from foretoken.arguments import takes
from foretoken.bounded import limit, too_large
from foretoken.compute.families import FAMILIES, cannot
from foretoken.compute.objective import PAD
from foretoken.errors import CorpusError, ForetokenError
from foretoken.generation.cache import Cache, start_cache
from foretoken.generation.load import ModelSource, open_model
from foretoken.generation.model import Model, finite_logits
from foretoken.generation.sampler import RandomStreams, SamplingOptions, mask_logits

MOST_TOKENS = 10**6
"""Tokens of all texts that are written at once: they are kept until the last of them is there."""
LARGEST_LOSS = math.log(sys.float_info.max)
"""The largest mean loss, in nats, whose perplexity is a finite number."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One text that a model wrote."""

    text: str
    tokens: list[int]
    logprobs: list[float]
    """The model's log-probability of each token, in nats, before temperature, top-k and top-p."""
    ended: bool
    """Whether the model ended the text itself; the token that ends it is the last of `tokens`, and not in `text`."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The texts that a model wrote after a prompt."""

    model: str
    prompt: str
    continues: bool
    """Whether the texts continue the prompt; those of an encoder-decoder stand by themselves."""
    prompt_tokens: list[int]
    prompt_perplexity: float | None
    """exp of the mean loss of the prompt's tokens after the first, as far as they fit into the context."""
    prompt_perplexity_reason: str | None
    forgotten: int
    """Tokens at the prompt's beginning that did not fit into the context."""
    samples: list[Sample]
    options: SamplingOptions
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = {**asdict(self), **asdict(self.options)}
        del values["options"]
        return values


@dataclass(frozen=True)
class SampleRequest(SamplingOptions):
    """A model, a prompt, and how to continue it."""

    source: ModelSource
    """A study with kept weights, or a folder of safetensors."""
    prompt: str = ""
    """The text to continue; an encoder-decoder's source."""
    _: KW_ONLY
    tokens: int = 100
    """Tokens to write at most."""
    samples: int = 1
    """How many texts to write."""
    seed: int = 0
    """Of the sampling."""
    run: str | None = None
    """Of a study, the run whose key begins so, in place of its target."""


@takes(SampleRequest)
def sample(request: SampleRequest) -> Samples:
    """Continue a prompt with a model; an encoder-decoder reads it and writes its target.

    The arguments are the fields of `SampleRequest`. When the context of a causal model is full, it forgets the older
    half of what it has read; an LSTM has no limit; a model that sees its prompt in both directions, or writes into a
    second context, is refused what does not fit.

    Raises DesignError for an encoder, CorpusError for a prompt that is too long, that is missing where nothing else can
    begin a text, or that the tokenizer cannot take.
    """
    model = open_model(request.source, request.run)
    tokens, samples, seed = request.tokens, request.samples, request.seed
    for name, number in (("tokens", tokens), ("samples", samples)):
        if number < 1:
            raise ForetokenError(
                f"{name} must be at least 1", expected="1 or more", got=str(number), cure=f"ask for more {name}"
            )
    if tokens * samples > limit(MOST_TOKENS):
        raise too_large("what is to be written", MOST_TOKENS, "tokens in all", ForetokenError, tokens * samples)
    with torch.inference_mode():
        writer = Writer(model, model.encode(request.prompt), tokens, samples)
        token_rows, logprob_rows = writer.write(request, RandomStreams(seed, samples), tokens)
        perplexity, reason = writer.perplexity()
    rows = zip(token_rows.tolist(), logprob_rows.tolist(), strict=True)
    return Samples(
        model=model.name,
        prompt=request.prompt,
        continues=writer.continues,
        prompt_tokens=writer.prompt,
        prompt_perplexity=perplexity,
        prompt_perplexity_reason=reason,
        forgotten=writer.forgotten,
        samples=[_sample(model, writer.context, *row) for row in rows],
        options=SamplingOptions(temperature=request.temperature, top_k=request.top_k, top_p=request.top_p),
        seed=seed,
    )


def _sample(model: Model, context: list[int], tokens: list[int], logprobs: list[float]) -> Sample:
    ended = model.separator in tokens
    length = tokens.index(model.separator) + 1 if ended and model.separator is not None else len(tokens)
    text = model.decode(tokens[: length - ended], context)
    return Sample(text=text, tokens=tokens[:length], logprobs=logprobs[:length], ended=ended)


class Writer:
    """Several texts after one prompt, all of one length."""

    def __init__(self, model: Model, prompt: list[int], tokens: int, samples: int) -> None:
        self.model, self.prompt, self.samples = model, prompt, samples
        self.forgotten = 0
        self.continues = not model.family.two_stacks
        shape = model.network.shape
        if not model.family.generates:
            able = [family for family in FAMILIES.values() if family.generates]
            raise cannot(model.family.name, "write text", able, f"foretoken fill-mask {model.name}, or another model")
        if not self.continues:
            self._begin_target(tokens)
        elif model.objective.shows_prefix(model.family):
            self._begin([*model.before, *prompt], prefix=True)
            model.check_fits(len(self.read) + tokens - 1, shape.context, "the prompt with the tokens asked for")
        else:
            self._begin([*model.before, *prompt] or self._separator())
        self.logits_BTV = self._read()

    def _begin(self, read: list[int], prefix: bool = False) -> None:
        if not read:
            raise CorpusError(
                "there is no prompt",
                expected="one token or more",
                got="none",
                cure="give one: nothing else begins a text of this model",
            )
        if not prefix and not self.model.family.recurrent:
            self.forgotten = max(0, len(read) - self.model.network.shape.context)
        self.read, self.context = read[self.forgotten :], self.prompt
        self.prefix = len(self.read) if prefix else 0
        self.cache: Cache = start_cache(self.model.network, prefix=self.prefix)

    def _separator(self) -> list[int]:
        return [] if self.model.separator is None else [self.model.separator]

    def _begin_target(self, tokens: int) -> None:
        model, shape = self.model, self.model.network.shape
        source = [*model.before, *self.prompt, *model.after]
        if not source:
            raise CorpusError(
                "there is no prompt",
                expected="one token or more",
                got="none",
                cure="give the text that the encoder reads",
            )
        if PAD not in model.specials:
            raise CorpusError(
                f"the tokenizer has no {PAD}, which a target begins with",
                expected=f"a special token {PAD}",
                got=f"{', '.join(model.specials) or 'no special tokens'} in {model.name}",
                cure=f"give a model whose tokenizer has {PAD}",
            )
        model.check_fits(len(source), shape.context, "the prompt")
        model.check_fits(tokens, shape.second_context, "the text asked for")
        self.read, self.context, self.prefix = [model.specials[PAD]], [], 0
        self.cache = start_cache(model.network, source_BS=torch.tensor([source] * self.samples))

    def _read(self) -> Tensor:
        return finite_logits(self.cache.read(torch.tensor([self.read] * self.samples)))

    def write(self, options: SamplingOptions, streams: RandomStreams, tokens: int) -> tuple[Tensor, Tensor]:
        """Tokens and their log-probabilities, [samples, tokens]."""
        begun = len(self.read)
        texts_BT = torch.empty(self.samples, begun + tokens, dtype=torch.long)
        texts_BT[:, :begun] = torch.tensor(self.read)
        logprobs_BT, ended_B = torch.empty(self.samples, tokens), torch.zeros(self.samples, dtype=torch.bool)
        logits_BV, written, end = self.logits_BTV[:, -1], 0, self.model.separator
        writable = None if bool(self.model.writable.all()) else self.model.writable
        for step in range(tokens):
            allowed_BV = logits_BV if writable is None else mask_logits(logits_BV, writable)
            token_B = streams.draw(options.probabilities(allowed_BV)) if options.temperature else allowed_BV.argmax(-1)
            logprobs_BT[:, step] = logits_BV.log_softmax(-1).gather(1, token_B[:, None])[:, 0]
            texts_BT[:, begun + step] = token_B
            written = step + 1
            if end is not None:
                ended_B |= token_B == end
            if written == tokens or (end is not None and bool(ended_B.all())):
                break
            logits_BV = self._next(texts_BT[:, : begun + written])
        # One that is not finite spoils the sum below each log-probability, so none has to be looked for on the way.
        finite_logits(logprobs_BT[:, :written])
        return texts_BT[:, begun : begun + written], logprobs_BT[:, :written]

    def _next(self, texts_BT: Tensor) -> Tensor:
        """Logits after the texts. A full context is replaced by a new one that holds the newer half of it."""
        shape, last = self.model.network.shape, texts_BT[:, -1:]
        context = shape.context if self.continues else shape.second_context
        if not self.model.family.recurrent and self.cache.length == context:
            # Half, so that a text of many contexts is read twice on average and not once per token.
            self.cache, last = start_cache(self.model.network), texts_BT[:, -max(1, context // 2) :]
        return self.cache.read(last, last=True)[:, -1].float()

    def perplexity(self) -> tuple[float | None, str | None]:
        """Perplexity of the prompt, or why there is none."""
        if self.prefix or not self.continues:
            return None, "the model reads its prompt and does not predict it"
        if len(self.read) < 2:
            return None, "a single token is not predicted"
        losses = -self.logits_BTV[0, :-1].log_softmax(-1).gather(1, torch.tensor(self.read[1:])[:, None])
        loss = losses.mean().item()
        if loss > LARGEST_LOSS:
            return None, f"it is too large for a number: exp of a mean loss of {loss:g} nats"
        return math.exp(loss), None
