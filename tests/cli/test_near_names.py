"""A wrong name on the command line shows the nearest right one, whichever verb and option it was given to."""

from __future__ import annotations

from pathlib import Path

import pytest

from foretoken.errors import ForetokenError

from ..fuzz.verbs import foretoken

LAW = ("--law", "besiroglu_2024")
PLAN = ("plan", "--compute", "1e22", *LAW)
PREDICT = ("predict", "fit.json", "--params", "7B", "--tokens", "140B")
FURTHER = ("continue-training", "model", "text.txt", "-o", "further", "--tokens", "1k")
VALUES = {
    ("fit", "runs.csv", "--law", "chinchila"): "chinchilla",
    ("fit", "runs.csv", "--objective", "hubber"): "did you mean 'huber'?",
    ("fit", "runs.csv", "--params", "params_totl"): "did you mean 'params_total'?",
    ("fit", "runs.csv", "--profile", "alpa"): "did you mean 'alpha'?",
    ("fit", "runs.csv", "--where", "flop>1"): "did you mean 'flops'?",
    ("fit", "runs.csv", "--map", "loss=lss"): "did you mean 'loss'?",
    ("backtest", "runs.csv", "--law", "coupld"): "coupled",
    ("backtest", "runs.csv", "--estimator", "hubber"): "did you mean 'huber'?",
    ("backtest", "runs.csv", "--params", "params_totl"): "did you mean 'params_total'?",
    ("approaches", "runs.csv", "--params", "params_totl"): "did you mean 'params_total'?",
    ("diagnose", "runs.csv", "--params", "params_totl"): "did you mean 'params_total'?",
    (*PREDICT, "--kind", "meen"): "did you mean 'mean'?",
    (*PREDICT, "--kind", "newrun"): "did you mean 'new-run'?",
    (*PREDICT, "--estimator", "mapp"): "did you mean 'map'?",
    (*PREDICT, "--at", "token=1e9"): "did you mean 'tokens'?",
    ("plan", "--compute", "1e22", "--law", "besiroglu_204"): "besiroglu_2024",
    ("plan", "--compute", "1e22", "--fit", "fit.json", "--estimator", "mapp"): "did you mean 'map'?",
    (*PLAN, "--estimator", "mapp"): "did you mean 'map'?",
    (*PLAN, "--family", "decodr"): "did you mean 'decoder'?",
    (*PLAN, "--precision", "bf61"): "did you mean 'bf16'?",
    (*PLAN, "--accelerator", "H10"): "nearest known: H100",
    (*PLAN, "--serve", "1e12", "--serve-accelerator", "H10"): "nearest known: H100",
    ("compare", "--compute", "5 H10 for 3 days"): "nearest known: H100",
    ("compare", "--compute", "1e22", "--estimator", "mapp"): "did you mean 'map'?",
    ("compare", "--compute", "1e22", "--fit", "fit.json", "--estimator", "mapp"): "did you mean 'map'?",
    ("next", "--compute", "1e22", "--law", "besiroglu_204"): "did you mean 'besiroglu_2024'?",
    ("next", "--compute", "1e22", *LAW, "--goal", "siz"): "did you mean 'size'?",
    ("next", "--compute", "1e22", *LAW, "--formula", "chinchila"): "chinchilla",
    ("trends", "--law", "besiroglu_204"): "besiroglu_2024",
    ("trends", "--compute", "5 H10 for 3 days"): "nearest known: H100",
    ("models", "lama_65b"): "llama_65b",
    ("models", "gpt2_zero_shto"): "gpt2",
    ("laws", "show", "chinchila"): "chinchilla",
    ("laws", "hoffman_2022_tex"): "hoffmann_2022_tex",
    ("cite", "chinchila"): "chinchilla",
    ("tokenizer", "train", "--text", "aaab", "--kind", "plian"): "did you mean 'plain'?",
    ("tokenizer", "train", "--text", "aaab", "--kind", "wordpeice"): "did you mean 'wordpiece'?",
    (*FURTHER, "--precision", "bfloat61"): "did you mean 'bfloat16'?",
    ("finetune", "model", "--task", "reviews.jsonl", "--metric", "accurcy"): "did you mean 'accuracy'?",
    ("plan", "--compute", "1e22", "--law", "chinchila"): "besiroglu_2024",
    ("fit", "runs.csv", "--law", "besiroglu_2024"): "expected: chinchilla",
    ("fit", "rusn.csv"): "did you mean 'runs.csv'?",
    ("fit", "smple"): "did you mean 'sample'?",
    ("predict", "fti.json", "--params", "7B", "--tokens", "1B"): "did you mean 'fit.json'?",
    ("design", "quickstrt"): "did you mean 'quickstart'?",
}


@pytest.mark.parametrize("words", VALUES, ids=" ".join)
def test_a_wrong_value_shows_the_nearest_right_one(words: tuple[str, ...], in_workshop: Path) -> None:
    with pytest.raises(ForetokenError) as refused:
        foretoken(*words)
    assert VALUES[words] in str(refused.value)
    assert str(refused.value).startswith("error: ")


@pytest.mark.parametrize("words", [("design", "folder"), ("fit", "fifth.csv")], ids=" ".join)
def test_what_is_there_and_is_no_file_is_not_proposed_again(
    words: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "fifth.csv").symlink_to("nowhere")
    with pytest.raises(ForetokenError) as refused:
        foretoken(*words)
    assert f"did you mean {words[1]!r}" not in str(refused.value)


NAMES = {
    ("fit", "runs.csv", "--objectiv", "huber"): "--objective",
    ("predict", "fit.json", "--parms", "7B"): "--params",
    ("plan", "--comput", "1e22"): "--compute",
    ("plan", "--tolerence", "0.1"): "--tolerance",
    ("next", "--learning-rate-eror", "0.1"): "--learning-rate-error",
    ("run", "study.toml", "--dry-runn"): "--dry-run",
    ("backtest", "runs.csv", "--train-fractoin", "0.5"): "--train-fraction",
    ("sample", "model", "--temprature", "1"): "--temperature",
    ("finetune", "model", "--from-scrach"): "--from-scratch",
    ("ledger", "score", "big", "--los", "2"): "--loss",
    ("tokenizer", "show", "tokenizer.json", "--merge", "3"): "--merges",
    ("fti",): "fit",
    ("backtst",): "backtest",
    ("continue-trainng",): "continue-training",
    ("ledger", "scor"): "score",
    ("tokenizer", "trian"): "train",
}


@pytest.mark.parametrize("words", NAMES, ids=" ".join)
def test_a_wrong_option_or_verb_shows_the_nearest_right_one(words: tuple[str, ...]) -> None:
    with pytest.raises(ForetokenError) as refused:
        foretoken(*words)
    message = str(refused.value)
    assert NAMES[words] in message.split("No such")[1]


@pytest.mark.parametrize("words", [("--kind", "zzz"), ("--estimator", "qqq")], ids=" ".join)
def test_where_nothing_is_alike_all_right_values_are_listed(words: tuple[str, str], in_workshop: Path) -> None:
    with pytest.raises(ForetokenError) as refused:
        foretoken(*PREDICT, *words)
    assert "did you mean" not in str(refused.value)
    assert {"--kind": "new-run, mean", "--estimator": "map, huber"}[words[0]] in str(refused.value)


def test_a_forecast_of_a_ledger_is_looked_for_by_name(in_workshop: Path, tmp_path: Path) -> None:
    foretoken("ledger", "freeze", "fit.json", "big-run", "--params", "7B", "--tokens", "140B", "--ledger", tmp_path)
    with pytest.raises(ForetokenError, match="did you mean big-run"):
        foretoken("ledger", "score", "big-rum", "--loss", "2", "--ledger", tmp_path)
