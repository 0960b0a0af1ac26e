"""Our models as those of lm-evaluation-harness (the package `lm-eval`), which brings tasks of its own.

import lm_eval
from foretoken.scoring.lm_eval import HarnessModel

lm_eval.simple_evaluate(model=HarnessModel("my_model"), tasks=["lambada_openai"])
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from foretoken.errors import DesignError, needing, shown
from foretoken.generation import ModelSource, open_model
from foretoken.scoring.answers import greedy_answers
from foretoken.scoring.likelihood import Reader, Request, likelihoods

with needing("scoring with lm-eval", "lm-eval"):
    from lm_eval import utils
    from lm_eval.api.model import TemplateLM

logger = logging.getLogger(__name__)
MOST_WRITTEN = 256
"""Tokens of an answer, where a task does not say how many."""


class HarnessModel(TemplateLM):  # type: ignore[misc]
    """A model as lm-evaluation-harness asks it: log-probabilities, rolling ones, and answers until a text.

    Args:
        source: a study with kept weights, or a folder of safetensors.
        run: of a study, the run whose key begins so, in place of its target.

    What does not fit into the context loses its beginning, as the harness has it, and how often is told.
    Raises what `open_model` raises, DesignError for a family that writes no text.

    """

    tokenizer = None
    """None: there is no template of a chat."""
    tokenizer_name = ""

    def __init__(self, source: ModelSource, run: str | None = None) -> None:
        super().__init__()
        self.reader = Reader(open_model(source, run))

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
        frame = len(self.reader.framed(context)) - len(context)
        # What begins a text is put there by the frame, where there is one.
        prompt = () if frame and list(context) == [self.eot_token_id] else tuple(context)
        # the last token of the text is predicted and not read
        over = len(prompt) + frame + len(text) - 1 - self.max_length
        if over > 0 and not self.reader.model.family.recurrent:
            logger.warning("a prompt lost its first %d tokens: it does not fit into the context", over)
            prompt = prompt[over:]
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
        if options_json.get("do_sample") and options_json.get("temperature") != 0:
            raise DesignError(
                "answers are written greedily here",
                expected="a task with do_sample: false, or temperature: 0",
                got=shown(options_json),
                cure="change the task's generation_kwargs",
            )
        until = options_json.get("until") or []
        most = int(options_json.get("max_gen_toks", MOST_WRITTEN))
        tokens = self.reader.model.encode(prompt)
        room = max(1, self.max_length - most)
        if len(tokens) > room and not self.reader.model.family.recurrent:
            logger.warning("a prompt lost its first %d tokens: it does not fit into the context", len(tokens) - room)
            tokens = tokens[-room:]
        (answer,) = greedy_answers(self.reader, [tuple(tokens)], most, [until] if isinstance(until, str) else until)
        return answer.text
