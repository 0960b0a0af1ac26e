"""The same numbers from lm-evaluation-harness with our networks as with its own, of the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data.tokenizer import ByteTokenizer
from foretoken.models import build, save_pretrained
from foretoken.scoring import score

transformers = pytest.importorskip("transformers")
lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'foretoken[lm-eval]'")
pytestmark = pytest.mark.filterwarnings("ignore")
QUESTIONS = [
    {"prompt": f"Is {number} odd or even?\nAnswer:", "choices": [" odd", " even", " neither of them"],
     "answer": number % 2} for number in range(6)
]  # fmt: skip
TASKS = {
    "choice": {"output_type": "multiple_choice", "doc_to_text": "{{prompt}}", "doc_to_choice": "{{choices}}",
               "doc_to_target": "answer", "target_delimiter": "",
               "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]},
    "rolling": {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{prompt * 3}}",
                "metric_list": [{"metric": "bits_per_byte"}, {"metric": "word_perplexity"}]},
    "free": {"output_type": "generate_until", "doc_to_text": "{{prompt}}", "doc_to_target": "{{choices[answer]}}",
             "generation_kwargs": {"until": ["\n", "e"], "max_gen_toks": 12, "do_sample": False},
             "metric_list": [{"metric": "exact_match"}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that leave nothing even, and the bytes as tokens."""
    folder = tmp_path_factory.mktemp("model")
    shape = ModelShape(layers=2, width=32, heads=2, context=64, vocabulary=256, **PRESETS["llama"])  # type: ignore[arg-type]
    network, generator = build(shape), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    save_pretrained(network, folder, token_ids={"eos_token_id": 0})
    ByteTokenizer().save(folder / "tokenizer.json")
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
    names = {"eos_token": "\x00", "pad_token": "\x00"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"))
    separator = next(token for token, number in tokenizer.get_vocab().items() if number == 0)
    tokenizer.add_special_tokens(dict.fromkeys(names, separator))
    network = transformers.AutoModelForCausalLM.from_pretrained(model).eval()
    theirs = evaluated(HFLM(pretrained=network, tokenizer=tokenizer, batch_size=1, device="cpu"), tasks)
    ours = evaluated(HarnessModel(model), tasks)
    for name in TASKS:
        for one, other in zip(ours["samples"][name], theirs["samples"][name], strict=True):
            assert numbers(one["resps"]) == pytest.approx(numbers(other["resps"]), abs=1e-4)
            assert [part for part in flat(one["resps"]) if isinstance(part, str)] == [
                part for part in flat(other["resps"]) if isinstance(part, str)
            ]
        for metric, value in theirs["results"][name].items():
            if isinstance(value, float):
                assert ours["results"][name][metric] == pytest.approx(value, rel=1e-4)
    found = {one.metric: one.score for one in score(model, tasks / "questions.jsonl").scores}
    assert found["accuracy"] == pytest.approx(theirs["results"]["choice"]["acc,none"])


def flat(parts: Any) -> list[Any]:
    return [one for part in parts for one in flat(part)] if isinstance(parts, list | tuple) else [parts]


def numbers(parts: Any) -> list[float]:
    """The log-probabilities, and whether they are greedy."""
    return [float(one) for one in flat(parts) if isinstance(one, float | bool)]
