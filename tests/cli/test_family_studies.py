"""Studies of families and objectives that cannot be: exit code 2 and one clear message before anything is trained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from foretoken.cli import main
from foretoken.runs.study_file import load_study

GOOD = {
    "corpus": 'source = "text"\npath = "texts"',
    "model": "context = 32",
    "training": "batch_tokens = { value = 256 }\neval_tokens = 2048",
    "objective": "",
    "design": 'kind = "ladder"\nparams = ["10k"]\ntokens_per_param = [1]',
    "target": "train = false",
    "launch": "workers = 1",
}
BERT, T5, LSTM, PREFIX = (f'preset = "{name}"' for name in ("bert", "t5", "lstm", "prefix"))
MASKED, SPANS, PREFIX_LM = (f'kind = "{name}"' for name in ("masked", "span_corruption", "prefix"))
APART, PAIRS = "separate_documents = true", "next_sentence = true"
NO_SEPARATOR = {"corpus": 'source = "zipf_markov"\nlanguage = { symbols = 32, tokens = 300_000 }'}
OWN_TOKENIZER = 'tokenizer = "file"\ntokenizer_file = "no_mask.json"\nseparator = "<|endoftext|>"'

REFUSED: dict[str, tuple[dict[str, str], str]] = {
    # shapes that cannot be
    "heads": ({"+model": "heads = 3"}, "model.heads: unknown key"),
    "top-k above experts": ({"+model": "experts = 4\nactive_experts = 5"}, "active_experts from 1 to 4"),
    "experts and no top-k": ({"+model": "experts = 4"}, "active_experts from 1 to 4"),
    "experts in none of the layers": (
        {"+model": "layers = 2\nexperts = 4\nactive_experts = 1\nexpert_every = 3"}, "expert_every up to 2 layers"
    ),
    "a context of four": ({"model": "context = 4"}, "model.context"),
    # choices without an effect
    "active experts without experts": ({"+model": "active_experts = 2"}, "active_experts without experts"),
    "a share without experts": ({"+model": "expert_width_ratio = 0.5"}, "expert_width_ratio without experts"),
    "a router without experts": ({"+model": "router_losses = { z = 0.1 }"}, "router_losses without experts"),
    "an LSTM with experts": ({"+model": f"{LSTM}\nexperts = 4\nactive_experts = 2"}, "'lstm' has no experts"),
    "an LSTM with positions": ({"+model": f'{LSTM}\npositions = "rotary"'}, "'lstm' has no positions"),
    "shared stacks of one": ({"+model": "shared_stacks = true"}, "models of two stacks"),
    "spans in next tokens": ({"objective": "mean_span_length = 3"}, "has mean_span_length, got objective 'causal'"),
    "a share in next tokens": ({"objective": "corruption_rate = 0.3"}, "has corruption_rate, got objective 'causal'"),
    "next sentence in next tokens": ({"objective": PAIRS}, "only the masked objective has next_sentence"),
    "next sentence in spans": ({"+model": T5, "+objective": f"{SPANS}\n{PAIRS}"}, "has next_sentence"),
    "documents apart in spans": ({"+model": PREFIX, "+objective": f"{SPANS}\n{APART}"}, "separate_documents"),
    "documents apart in pairs": (
        {"+model": BERT, "+objective": f"{MASKED}\n{APART}\n{PAIRS}"}, "never crosses the end of a document"
    ),
    # families and objectives that do not fit together
    "masked and causal": ({"+objective": MASKED}, "cannot train the decoder family; it takes 'causal'"),
    "spans in a decoder": ({"+objective": SPANS}, "span_corruption objective cannot train the decoder family"),
    "a prefix in a decoder": ({"+objective": PREFIX_LM}, "prefix objective cannot train the decoder family"),
    "next tokens in an encoder": ({"+model": BERT}, "it takes 'masked'"),
    "next tokens in two stacks": ({"+model": T5}, "it takes 'prefix' or 'span_corruption'"),
    "masked in an LSTM": ({"+model": LSTM, "+objective": MASKED}, "cannot train the lstm family"),
    "documents apart in two stacks": ({"+model": T5, "+objective": f"{PREFIX_LM}\n{APART}"}, "one stack only"),
    # objectives that the text or the sizes do not allow
    "no separator": ({**NO_SEPARATOR, "objective": APART}, "no token ends one"),
    "no [MASK]": (
        {"+corpus": OWN_TOKENIZER, "+model": BERT, "+objective": MASKED}, "has no [MASK]"
    ),
    "no sentinels": (
        {"+corpus": OWN_TOKENIZER, "+model": T5, "+objective": SPANS}, "has no <extra_id_0>"
    ),
    "more sentinels than tokens": (
        {"model": f"{T5}\ncontext = 1024", "+objective": f"{SPANS}\ncorruption_rate = 0.5\nmean_span_length = 1"},
        "more sentinels than the vocabulary holds",
    ),
    "too short for a span": ({"model": f"{T5}\ncontext = 8", "+objective": SPANS}, "cannot hide"),
    "too little to hide": ({"+model": BERT, "+objective": f"{MASKED}\ncorruption_rate = 0.001"}, "cannot hide"),
    "nothing left to see": ({"+model": BERT, "+objective": f"{MASKED}\ncorruption_rate = 0.999"}, "cannot hide"),
    "a span longer than the text": (
        {"+model": BERT, "+objective": f"{MASKED}\nmean_span_length = 100"}, "cannot hide"
    ),
    "pairs of one sequence": (
        {"+model": BERT, "training": "batch_tokens = { value = 32 }", "objective": f"{MASKED}\n{PAIRS}"},
        "two sequences",
    ),
    "evaluation on one pair of texts": (
        {"+model": T5, "objective": PREFIX_LM, "training": "eval_tokens = 64"}, "training.eval_tokens of 128 or more"
    ),
    "a context longer than the text": (
        {"model": "context = 20_000", "+corpus": "repeat = true",
         "training": "eval_tokens = 40_000\nbatch_tokens = { value = 20_000 }",
         "design": 'kind = "ladder"\nparams = ["10k"]\ntokens_per_param = [50]'},
        "shorter than two contexts",
    ),
    # runs that do not fit
    "weights beyond the memory": (
        {"design": 'kind = "ladder"\nparams = ["10B"]\ntokens_per_param = [1e-6]'}, "does not fit in this machine"
    ),
    "activations beyond the memory": (
        {"training": "batch_tokens = { value = 100_000 }", "+corpus": "repeat = true",
         "design": 'kind = "ladder"\nparams = ["20k"]\ntokens_per_param = [100]'},
        "for the activations of 3125 sequences",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts and tokenizers; what is tokenised once is found by the studies after it."""
    home = tmp_path_factory.mktemp("families")
    stories = [json.dumps({"text": f"Story {n}: the {n % 13} bears met {n * n} foxes.\n"}) for n in range(1500)]
    (home / "texts").mkdir()
    (home / "texts" / "stories.jsonl").write_text("\n".join(stories))
    words = ["<|endoftext|>", "<unk>", "[PAD]", "[CLS]", "[SEP]", "the", "bears", "met", "foxes", ".", ":", "Story"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    tokenizer.add_special_tokens([*words[:1], *words[2:5]])
    tokenizer.save(str(home / "no_mask.json"))
    return home


def study(changes: dict[str, str]) -> str:
    """The good study with some sections replaced, and with lines added to others (`+section`)."""
    sections = {**GOOD, **{name: text for name, text in changes.items() if not name.startswith("+")}}
    for name, more in changes.items():
        if name.startswith("+"):
            sections[name[1:]] += f"\n{more}"
    return 'name = "bad"\n' + "\n".join(f"[{name}]\n{text}" for name, text in sections.items())


def ended(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """The exit code of a verb."""
    monkeypatch.setattr(sys, "argv", ["foretoken", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.mark.parametrize("verb", ["design", "run"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_before_training(
    case: str, verb: str, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    changes, told = REFUSED[case]
    monkeypatch.chdir(home)
    monkeypatch.setattr("foretoken.launchers.local.available_memory", lambda: 2e8)
    (home / "bad.toml").write_text(study(changes))
    assert ended(monkeypatch, verb, "bad.toml") == 2
    message = capfd.readouterr().err
    assert told in " ".join(message.split())
    assert message.count("error:") == 1
    assert "Traceback" not in message
    assert len(message.splitlines()) <= 6
    assert not list((home / "runs").glob("bad/runs/*"))
    assert not list((home / "runs").glob("bad/trunks/*"))


def test_the_good_study_is_planned_with_its_memory(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So what the others changed is what was refused; and each row tells what its run holds."""
    monkeypatch.chdir(home)
    grid = 'kind = "ladder"\nparams = ["10k", "20k", "40k"]\ntokens_per_param = [0.4, 0.8, 1.6]'
    (home / "good.toml").write_text(study({"+model": T5, "+objective": SPANS, "design": grid}).replace("bad", "good"))
    assert ended(monkeypatch, "design", "good.toml", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert all(row["bytes_estimated"] > 16 * row["params_total"] for row in [*plan["runs"], plan["target"]])


def test_runs_side_by_side_must_fit_together(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    sizes = {"design": 'kind = "ladder"\nparams = ["60k", "90k", "130k"]\ntokens_per_param = [0.3]'}
    (home / "many.toml").write_text(study({**sizes, "launch": "workers = 3"}).replace("bad", "many"))
    monkeypatch.setattr("foretoken.launchers.local.available_memory", lambda: 12e6)
    assert ended(monkeypatch, "design", "many.toml") == 2
    assert "set launch.workers to 2 or less" in capfd.readouterr().err


@pytest.mark.parametrize("path", sorted(Path("studies/families").glob("*.toml")), ids=lambda path: path.stem)
def test_the_studies_of_families_are_read(path: Path) -> None:
    load_study(path)
