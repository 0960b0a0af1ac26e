"""Our models as those of lm-evaluation-harness (the package `lm-eval`), which brings tasks of its own.

import lm_eval
from foretoken.scoring.lm_eval import HarnessModel

lm_eval.simple_evaluate(model=HarnessModel("my_model"), tasks=["lambada_openai"])
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from foretoken.errors import DesignError, TaskError, needing, shown
from foretoken.generation import ModelSource, open_model
from foretoken.scoring.answers import greedy_answers
from foretoken.scoring.gaps import Tokens
from foretoken.scoring.likelihood import Reader, Request, likelihoods

with needing("scoring with lm-eval", "lm-eval"):
    from lm_eval import utils
    from lm_eval.api.model import TemplateLM

logger = logging.getLogger(__name__)
MOST_WRITTEN = 256
"""Tokens of an answer, where a task does not say how many."""
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""What tasks call that number; the first that is given counts."""
GREEDY_OPTIONS = {*LENGTHS, "until", "do_sample", "temperature", "num_beams", "top_p", "top_k"}
"""What a task may say of how answers are written; the last two change nothing where the likeliest token is taken."""


class HarnessModel(TemplateLM):  # type: ignore[misc]
    """A model as lm-evaluation-harness asks it: log-probabilities, rolling ones, and answers until a text.

    Args:
        source: a study with kept weights, or a folder of safetensors.
        run: of a study, the run whose key begins so, in place of its target.

    What does not fit into the context loses its beginning, as the harness has it, and how often is told.
    Raises what `open_model` raises, DesignError for a family that writes no text; TaskError where a task asks for
    answers that are not greedy, or for a text or an answer that is longer than the context.

    """

    tokenizer = None
    """None: there is no template of a chat."""
    tokenizer_name = ""

    def __init__(self, source: ModelSource, run: str | None = None) -> None:
        super().__init__()
        self.reader = Reader(open_model(source, run))
        # An encoder reads the prompt by itself, so the harness is to encode it by itself.
        self.backend = "seq2seq" if self.reader.two_stacks else "causal"

    @property
    def eot_token_id(self) -> int:
        """The token that ends a document, which stands before a text without a prompt."""
        model = self.reader.model
        if model.separator is None and not model.before:
            raise DesignError(
                "nothing stands before a text of this model",
                expected="a tokenizer with a token between documents",
                got=model.name,
                cure="take tasks whose prompts are not empty",
            )
        return model.before[0] if model.separator is None else model.separator

    @property
    def max_length(self) -> int:
        """Tokens that are read at most."""
        return self.reader.model.network.shape.context

    def tok_encode(self, string: str, add_special_tokens: bool | None = None) -> list[int]:
        """The tokens of a text, without any that frame it."""
        return self.reader.model.encode(string)

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, Sequence[int], Sequence[int]]], **_: object
    ) -> list[tuple[float, bool]]:
        """The log-probability of each continuation, and whether it is what the model would write."""
        asked = [self._request(context, text) for _, context, text in requests]
        return [(one.logprob, one.greedy) for one in likelihoods(self.reader, asked)]

    def _request(self, context: Sequence[int], text: Sequence[int]) -> Request:
        reader = self.reader
        # What begins a text is put there by the frame, where there is one.
        framed = len(reader.framed(context)) > len(context) and list(context) == [self.eot_token_id]
        prompt = () if framed else tuple(context)
        over = -reader.room(len(reader.framed(prompt)), len(text))
        if over <= 0:
            return Request(prompt, tuple(text))
        prompt = prompt[over:]
        if reader.room(len(reader.framed(prompt)), len(text)) < 0:
            raise TaskError(
                "a text does not fit into the context even without its prompt",
                expected=f"at most {self.max_length} tokens",
                got=str(len(text)),
                cure="take a task with shorter answers, or a model with a longer context",
            )
        logger.warning("a prompt lost its first %d tokens: it does not fit into the context", over)
        return Request(prompt, tuple(text))

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """The log-probability of whole texts, in windows side by side."""
        windows = [self._windows(request.args[0]) for request in requests]
        found = iter(likelihoods(self.reader, [window for text in windows for window in text]))
        return [sum(next(found).logprob for _ in text) for text in windows]

    def _windows(self, text: str) -> list[Request]:
        rolling: Iterable[Any] = utils.get_rolling_token_windows(
            token_list=self.tok_encode(text), prefix_token=self.eot_token_id, max_seq_len=self.max_length, context_len=1
        )
        return [self._request(*utils.make_disjoint_window(window)) for window in rolling]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each prompt, always the likeliest token, until one of the texts that end it."""
        return [self._written(*request.args) for request in requests]

    def _written(self, prompt: str, options_json: dict[str, Any]) -> str:
        _check_greedy(options_json)
        until = options_json.get("until") or []
        # the harness has empty texts end nothing
        stops = [stop for stop in ([until] if isinstance(until, str) else until) if stop]
        most = next((int(options_json[name]) for name in LENGTHS if options_json.get(name) is not None), MOST_WRITTEN)
        (answer,) = greedy_answers(self.reader, [self._beginning(prompt, most)], most, stops)
        return answer.text

    def _beginning(self, prompt: str, most: int) -> Tokens:
        """The prompt's tokens, of which the last are kept where there is no room for them and the answer."""
        reader, tokens = self.reader, tuple(self.reader.model.encode(prompt))
        frame = len(reader.framed(tokens)) - len(tokens)
        # an encoder leaves its whole context to the prompt
        room = self.max_length - frame - (0 if reader.two_stacks else most)
        if reader.model.family.recurrent or len(tokens) <= room:
            return tokens
        if room < 1:
            raise TaskError(
                "the answers that are asked for leave no room for a prompt",
                expected=f"fewer than {self.max_length - frame} tokens",
                got=str(most),
                cure="give a smaller max_gen_toks in the task's generation_kwargs",
            )
        logger.warning("a prompt lost its first %d tokens: it does not fit into the context", len(tokens) - room)
        return tokens[-room:]


def _check_greedy(options_json: dict[str, Any]) -> None:
    """Raise TaskError for answers that are not the likeliest token, one after the other."""
    sample, temperature = options_json.get("do_sample"), options_json.get("temperature")
    # as the harness has it, a temperature asks for sampling by itself
    sampled = bool(temperature) if sample is None else sample and temperature != 0
    if sampled or options_json.get("num_beams", 1) != 1 or not GREEDY_OPTIONS.issuperset(options_json):
        raise TaskError(
            "answers are written greedily here",
            expected=f"do_sample: false, or temperature: 0, and no options but {', '.join(sorted(GREEDY_OPTIONS))}",
            got=shown(options_json),
            cure="change the task's generation_kwargs",
        )
