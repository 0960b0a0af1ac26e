"""The same numbers from lm-evaluation-harness with our networks as with its own, of the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data.tokenizer import ByteTokenizer
from foretoken.errors import TaskError
from foretoken.models import build, save_pretrained
from foretoken.scoring import score

transformers = pytest.importorskip("transformers")
lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'foretoken[lm-eval]'")
pytestmark = pytest.mark.filterwarnings("ignore")
PAD, CONTEXT = 256, 64
QUESTIONS = [
    {"prompt": f"Is {number} odd or even?\nAnswer:", "choices": [" odd", " even", " neither of them"],
     "answer": number % 2} for number in range(6)
]  # fmt: skip
CHOICE = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{prompt}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "answer",
    "target_delimiter": "",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
}
FREE = {
    "output_type": "generate_until",
    "doc_to_text": "{{prompt}}",
    "doc_to_target": "{{choices[answer]}}",
    "generation_kwargs": {"until": ["\n", "e"], "max_new_tokens": 12, "do_sample": False},
    "metric_list": [{"metric": "exact_match"}],
}
TASKS = {
    "choice": CHOICE,
    "choice_after_a_long_prompt": CHOICE | {"doc_to_text": "{{prompt * 4}} "},
    "choice_after_nothing": CHOICE | {"doc_to_text": ""},
    "rolling": {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{prompt * 3}}",
                "metric_list": [{"metric": "bits_per_byte"}, {"metric": "word_perplexity"}]},
    "free": FREE,
    "free_after_a_long_prompt": FREE | {"doc_to_text": "{{prompt * 4}}"},
}  # fmt: skip


@pytest.fixture(scope="module", params=["llama", "t5"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that leave nothing even, and as tokens the bytes and one to pad with."""
    from tokenizers import Tokenizer

    folder, two = tmp_path_factory.mktemp("model"), request.param == "t5"
    shape = ModelShape(
        layers=2, width=32, heads=2, context=CONTEXT, vocabulary=PAD + 1,
        **PRESETS[request.param], **({"decoder_context": CONTEXT} if two else {}),  # type: ignore[arg-type]
    )  # fmt: skip
    network, generator = build(shape), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    ids = {"eos_token_id": 0, "pad_token_id": PAD, **({"decoder_start_token_id": PAD} if two else {})}
    save_pretrained(network, folder, token_ids=ids)
    ByteTokenizer().save(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["[PAD]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    for name, config in TASKS.items():
        data = {"dataset_path": "json", "dataset_kwargs": {"data_files": str(tmp_path / "questions.jsonl")}}
        whole = {"task": name, "test_split": "train", "num_fewshot": 0} | data | config
        (tmp_path / f"{name}.yaml").write_text(json.dumps(whole))
    return tmp_path


def evaluated(model: Any, tasks: Path) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    found: dict[str, Any] = lm_eval.simple_evaluate(
        model=model, tasks=list(TASKS), task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    return found


def test_all_three_kinds_of_requests(model: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.models.huggingface import HFLM

    from foretoken.scoring.lm_eval import HarnessModel

    monkeypatch.setenv("HF_HOME", str(tasks / "home"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"))
    separator = next(token for token, number in tokenizer.get_vocab().items() if number == 0)
    tokenizer.add_special_tokens({"eos_token": separator, "pad_token": "[PAD]"})
    config = transformers.AutoConfig.from_pretrained(model)
    network = getattr(transformers, config.architectures[0]).from_pretrained(model).eval()
    backend = "seq2seq" if config.is_encoder_decoder else "causal"
    theirs = evaluated(
        HFLM(pretrained=network, tokenizer=tokenizer, backend=backend, max_length=CONTEXT, batch_size=1, device="cpu"),
        tasks,
    )
    ours = evaluated(HarnessModel(model), tasks)
    for name in TASKS:
        for one, other in zip(ours["samples"][name], theirs["samples"][name], strict=True):
            assert numbers(one["resps"]) == pytest.approx(numbers(other["resps"]), abs=1e-4)
            for mine, other_text in zip(texts(one["resps"]), texts(other["resps"]), strict=True):
                # their encoder-decoder writes for as many tokens more as the prompt has
                assert (other_text[: len(mine)] if backend == "seq2seq" else other_text) == mine
        for metric, value in theirs["results"][name].items():
            if isinstance(value, float):
                assert ours["results"][name][metric] == pytest.approx(value, rel=1e-4)
    found = {one.metric: one.score for one in score(model, tasks / "questions.jsonl").scores}
    assert found["accuracy"] == pytest.approx(theirs["results"]["choice"]["acc,none"])


@pytest.mark.parametrize(
    "options",
    [{"do_sample": True}, {"temperature": 0.7}, {"num_beams": 2}, {"repetition_penalty": 1.2}, {"max_tokens": CONTEXT}],
)
@pytest.mark.parametrize("model", ["llama"], indirect=True)
def test_answers_that_would_be_others_are_refused(model: Path, options: dict[str, Any]) -> None:
    from foretoken.scoring.lm_eval import HarnessModel

    with pytest.raises(TaskError, match=r"greedily|no room"):
        HarnessModel(model)._written("Is 1 odd?", {"until": ["\n"], **options})


def test_a_text_longer_than_the_context_is_refused(model: Path) -> None:
    from foretoken.scoring.lm_eval import HarnessModel

    ours = HarnessModel(model)
    (found,) = ours._loglikelihood_tokens([("", [1, 2], [3] * CONTEXT)])
    assert found[0] < 0
    with pytest.raises(TaskError, match="even without its prompt"):
        ours._loglikelihood_tokens([("", [1, 2], [3] * (CONTEXT + 1))])


def flat(parts: Any) -> list[Any]:
    return [one for part in parts for one in flat(part)] if isinstance(parts, list | tuple) else [parts]


def texts(parts: Any) -> list[str]:
    return [one for one in flat(parts) if isinstance(one, str)]


def numbers(parts: Any) -> list[float]:
    """The log-probabilities, and whether they are greedy."""
    return [float(one) for one in flat(parts) if isinstance(one, float | bool)]
