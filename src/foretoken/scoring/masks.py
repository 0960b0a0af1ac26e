"""Log-probabilities of what fills the gaps of a text, by an encoder: there is a mask for each token.

Sequences that are read side by side have equal lengths, so there is no padding, and a number does not depend on what
else was asked for (but for rounding).

Shapes: B sequences, T positions, N tokens asked for, W width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from foretoken.generation import Model
from foretoken.generation.model import finite_logits
from foretoken.models import Encoder
from foretoken.scoring.gaps import Tokens, encode_pieces
from foretoken.scoring.likelihood import BATCH_LOGITS, BATCH_TOKENS, Likelihood, Reader, Request, side_by_side
from foretoken.tasks.task import Masks, Question


class Place(NamedTuple):
    """A token that is asked for: of which request, the how manieth of its text, and where it stands."""

    request: int
    number: int
    position: int


class MaskReader:
    """An encoder that says how likely answers are in their gaps, with the text on both sides of these in sight.

    Raises CheckpointError for weights without a head, CorpusError for a tokenizer without a mask.
    """

    begins_alone = True
    """A gap can stand alone: what frames a text stands around it."""

    def __init__(self, model: Model) -> None:
        model.check_head()
        self.model, self.mask = model, model.mask
        assert isinstance(model.network, Encoder)
        self.network = model.network

    def fills(self, question: Question) -> bool:
        """Whether what stands behind an answer is seen, and not weighed with it."""
        return True

    def request(self, prompt: str, question: Question, answer: str, masks: Masks) -> Request:
        """What is asked for an answer: the whole text, and where in it the answer's tokens stand.

        Raises TaskError for an answer without tokens.
        """
        model, shown, places = self.model, [*self.model.before], list[int]()
        for number, piece in enumerate(encode_pieces(model, [prompt, *question.pieces(answer)])):
            if number % 2:
                places += range(len(shown), len(shown) + len(piece))
            shown += piece
        text = tuple(shown[place] for place in places)
        return Request((*shown, *model.after), text, tuple(places), masks)

    def fits(self, request: Request) -> bool:
        """Whether the network can read it."""
        return len(request.prompt) <= self.network.shape.context

    @torch.no_grad()
    def weigh(self, requests: Sequence[Request]) -> list[Likelihood]:
        """The log-probability of each text in its place, in the order of the requests.

        Raises CheckpointError for damaged weights.
        """
        # choices of one length are predicted from the same masks, and these are read once
        asked: dict[Tokens, list[Place]] = {}
        for number, request in enumerate(requests):
            for tokens, places in _masked(number, request, self.mask):
                asked.setdefault(tokens, []).extend(places)
        logprobs = [[0.0] * len(request.text) for request in requests]
        greedy = [True] * len(requests)
        sequences = list(asked)
        for group in side_by_side([len(tokens) for tokens in sequences], lambda length: BATCH_TOKENS // length):
            read = [sequences[number] for number in group]
            rows = [(row, place) for row, tokens in enumerate(read) for place in asked[tokens]]
            for place, logprob, is_likeliest in self._said(read, rows, requests):
                logprobs[place.request][place.number] = logprob
                greedy[place.request] &= is_likeliest
        return [Likelihood(tuple(each), all_best) for each, all_best in zip(logprobs, greedy, strict=True)]

    def _said(
        self, read: Sequence[Tokens], asked: Sequence[tuple[int, Place]], requests: Sequence[Request]
    ) -> Iterator[tuple[Place, float, bool]]:
        """The log-probability of each token, and whether it is the likeliest there, after the sequences were read."""
        network = self.network
        features_BTW = network.features(torch.tensor(read))
        most = max(1, BATCH_LOGITS // network.shape.vocabulary)
        for start in range(0, len(asked), most):
            part = asked[start : start + most]
            rows, positions = torch.tensor([(row, place.position) for row, place in part]).unbind(1)
            logprobs_NV = _logits(network, features_BTW[rows, positions]).log_softmax(-1)
            token_N = torch.tensor([requests[place.request].text[place.number] for _, place in part])
            each_N = logprobs_NV.gather(1, token_N[:, None])[:, 0].tolist()
            likeliest_N = (logprobs_NV.argmax(-1) == token_N).tolist()
            yield from zip((place for _, place in part), each_N, likeliest_N, strict=True)


def _logits(network: Encoder, features_NW: Tensor) -> Tensor:
    """Logits of the token at each of some positions, [N, V]."""
    return finite_logits(functional.linear(network.transformed(features_NW), network.head_weight, network.head_bias))


def _masked(number: int, request: Request, mask: int) -> Iterator[tuple[Tokens, list[Place]]]:
    """What the network reads for a request, and the tokens that it is asked for there."""
    places = [Place(number, at, position) for at, position in enumerate(request.places)]
    if request.masks == "together":
        steps = [(places, places)]
    elif request.masks == "left_to_right":
        steps = [(places[at:], [place]) for at, place in enumerate(places)]
    else:
        steps = [([place], [place]) for place in places]
    for hidden, asked in steps:
        shown = list(request.prompt)
        for place in hidden:
            shown[place.position] = mask
        yield tuple(shown), asked


AnyReader = Reader | MaskReader


def reader_of(model: Model) -> AnyReader:
    """How a model reads the questions of a task: an encoder fills masks."""
    return Reader(model) if model.family.generates else MaskReader(model)
