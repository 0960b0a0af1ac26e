"""Study files for nanochat and torchtitan, which need GPUs: their commands are built and checked, and not run.

What is known of both is written down here as facts: of nanochat at commit 92d63d4 (July 2026) from its
scripts/base_train.py and nanochat/gpt.py, of torchtitan 0.2.2 (73a0e69) from config/job_config.py and models/llama3.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import foretoken as ft
from foretoken.own_trainer.result import read_result
from foretoken.study.by_hand import PlannedCommand, planned_commands

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_trainer"
NANOCHAT: dict[str, type] = {
    **dict.fromkeys(("depth", "aspect-ratio", "head-dim", "max-seq-len", "num-iterations", "device-batch-size"), int),
    **dict.fromkeys(("total-batch-size", "warmup-steps", "resume-from-step", "eval-every", "eval-tokens"), int),
    **dict.fromkeys(("core-metric-every", "core-metric-max-per-task", "sample-every", "save-every"), int),
    **dict.fromkeys(("target-flops", "target-param-data-ratio", "embedding-lr", "unembedding-lr"), float),
    **dict.fromkeys(("matrix-lr", "scalar-lr", "weight-decay", "warmdown-ratio", "final-lr-frac"), float),
    **dict.fromkeys(("run", "device-type", "fp8-recipe", "window-pattern", "model-tag"), str),
    "fp8": bool,
}
"""Options of scripts.base_train."""
TORCHTITAN: dict[str, type] = {
    **dict.fromkeys(("job.config_file", "job.dump_folder", "model.name", "model.flavor", "model.hf_assets_path"), str),
    **dict.fromkeys(("training.dataset", "validation.dataset", "experimental.custom_import", "optimizer.name"), str),
    **dict.fromkeys(("training.steps", "training.seq_len", "training.local_batch_size"), int),
    **dict.fromkeys(("training.global_batch_size", "lr_scheduler.warmup_steps", "debug.seed"), int),
    **dict.fromkeys(("validation.freq", "validation.steps", "validation.seq_len", "checkpoint.interval"), int),
    **dict.fromkeys(("optimizer.lr", "optimizer.beta1", "optimizer.beta2", "optimizer.eps"), float),
    **dict.fromkeys(("optimizer.weight_decay", "lr_scheduler.decay_ratio", "training.max_norm"), float),
    **dict.fromkeys(("metrics.enable_tensorboard", "metrics.enable_wandb", "validation.enable"), bool),
    **dict.fromkeys(("metrics.disable_color_printing", "checkpoint.enable"), bool),
}
"""Options of torchtitan.train."""


def parser_of(options: dict[str, type]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    for name, kind in options.items():
        if kind is bool:
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name}", type=kind)
    return parser


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study files beside what they name, and a `torchrun` that is found."""
    for path in EXAMPLES.glob("*"):
        if path.is_file():
            shutil.copy(path, tmp_path)
    for name in ("nanochat/gpt.py", "scripts/base_train.py", "bin/torchrun"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def planned(folder: Path, name: str) -> tuple[ft.Study, list[PlannedCommand]]:
    study = ft.load_study(folder / f"{name}.toml")
    return study, planned_commands(study, folder / "runs" / name)


def asked(one: PlannedCommand, module: str, options: dict[str, type]) -> argparse.Namespace:
    """What the command asks of a module that torchrun starts, each option of which it has."""
    after = one.words.index("-m") + 1
    assert "torchrun" in one.words[:after]
    assert one.words[after] == module
    rest = one.words[after + 1 :]
    return parser_of(options).parse_args(rest[rest[0] == "--" :])


def nanochat_counts(depth: int, context: int, vocabulary: int) -> tuple[int, int]:
    """Matrices and head of a network, and its FLOPs per token, as nanochat counts them (head_dim 128, windows SSSL)."""
    width = 64 * depth
    heads = width // 128
    gates = 12 * heads * (depth // 2)
    matrices = depth * (4 * width**2 + 8 * width**2) + gates + vocabulary * width
    short = -(-context // 4 // 128) * 128
    windows = [context if number % 4 == 3 or number == depth - 1 else short for number in range(depth)]
    return matrices, 6 * (matrices + 24) + sum(12 * width * window for window in windows)


def test_nanochat_gets_what_it_takes(folder: Path) -> None:
    study, commands = planned(folder, "nanochat")
    assert len(commands) == 15
    for one in commands:
        options, run = asked(one, "scripts.base_train", NANOCHAT), one.run
        assert options.num_iterations * options.total_batch_size == run.tokens
        assert options.total_batch_size % (8 * options.device_batch_size * options.max_seq_len) == 0
        assert options.eval_tokens % (8 * options.device_batch_size * options.max_seq_len) == 0
        assert run.shape.width == 64 * options.depth
        assert options.run == options.model_tag == run.key  # and not "dummy", which logs nothing
        params, flops = nanochat_counts(options.depth, options.max_seq_len, 32_768)
        assert (run.parameters.total, round(run.flops / run.tokens)) == (params, flops)
    assert study.target.size
    size = study.target.size
    assert (size["params"], size["flops_per_token"]) == nanochat_counts(int(size["layers"]), 2048, 32_768)


def torchtitan_params(width: int, layers: int, vocabulary: int) -> tuple[int, int]:
    """Parameters of Llama 3 and the width of its feed-forward, which is a multiple of 256."""
    hidden = -(-int(2 * 4 * width / 3) // 256) * 256
    block = 4 * width**2 + 3 * width * hidden + 2 * width
    return 2 * vocabulary * width + layers * block + width, hidden


def test_torchtitan_gets_what_it_takes(folder: Path) -> None:
    study, commands = planned(folder, "torchtitan")
    assert len(commands) == 12
    sizes = (folder / "torchtitan_sizes.py").read_text()
    for one in commands:
        options, run = vars(asked(one, "torchtitan.train", TORCHTITAN)), one.run
        batch = options["training.global_batch_size"] * options["training.seq_len"]
        assert options["training.steps"] * batch == run.tokens
        assert options["training.global_batch_size"] % (8 * 8) == 0  # a local batch of 8 on each GPU
        assert options["validation.steps"] * 8 * 8 * options["validation.seq_len"] == run.eval_tokens
        assert options["validation.freq"] == options["training.steps"]  # so the last step is validated
        assert options["optimizer.lr"] == pytest.approx(run.learning_rate)
        assert options["metrics.enable_tensorboard"]
        width, layers = run.shape.width, run.shape.layers
        assert options["model.flavor"] == f"w{width}"
        assert f"({width}, {layers})" in sizes
        assert (run.parameters.total, run.shape.feed_forward) == torchtitan_params(width, layers, 128_256)
    size = study.target.size or {}
    assert f"({size['width']}, {size['layers']})" in sizes
    assert size["feed_forward"] == torchtitan_params(int(size["width"]), 1, 0)[1]


@pytest.mark.parametrize("option", ["--training.seed 1", "--job.dump_foldr x", "--training.steps many"])
def test_an_option_that_is_not_theirs_is_found(option: str) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parser_of(TORCHTITAN).parse_args(option.split())


NANOCHAT_LOG = [
    {"step": 0, "val/bpb": 3.2, "total_training_time": 0.0},
    {"step": 0, "train/loss": 10.4, "train/lrm": 0.025},
    {"step": 100, "train/loss": 5.0, "train/lrm": 1.0},
    {"step": 200, "train/loss": 4.0, "train/lrm": 1.0},
    {"step": 240, "val/bpb": 1.0, "total_training_time": 90.0},
]
"""What it logs to W&B, whose summary has the last value of each."""


def test_the_result_of_nanochat_is_read(tmp_path: Path) -> None:
    study = ft.load_study(EXAMPLES / "nanochat.toml")
    assert study.trainer
    place = tmp_path / study.trainer.result / "offline-run-1" / "files"
    place.mkdir(parents=True)
    summary = {name: value for row in NANOCHAT_LOG for name, value in row.items()}
    (place / "wandb-summary.json").write_text(json.dumps(summary))
    told = read_result(tmp_path / study.trainer.result, study.trainer.map, 524_288)
    assert told.loss == pytest.approx(4.8 * 0.693147)
    assert told.seconds == 90


def test_the_log_of_nanochat_is_read(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    study = ft.load_study(EXAMPLES / "nanochat.toml")
    assert study.trainer
    code = "import json, sys, wandb\nrun = wandb.init(project='nanochat', mode='offline')\n"
    code += "for row in json.loads(sys.argv[1]):\n    run.log(row)\nrun.finish()\n"
    words = [sys.executable, "-c", code, json.dumps(NANOCHAT_LOG)]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    told = read_result(tmp_path / study.trainer.result, study.trainer.map, 524_288)
    assert told.loss == pytest.approx(4.8 * 0.693147)
    assert [point.loss for point in told.curve] == [10.4, 5.0, 4.0]


def test_the_result_of_torchtitan_is_read(tmp_path: Path) -> None:
    """It begins a folder of events with every start, and a run that went on has two."""
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    study = ft.load_study(EXAMPLES / "torchtitan.toml")
    assert study.trainer
    trained, validated = "loss_metrics/global_avg_loss", "validation_metrics/loss"
    starts = {
        "20260820-1200": [(1, trained, 11.0), (1, validated, 11.1), (10, trained, 7.0)],
        "20260820-1330": [(20, trained, 5.0), (20, validated, 5.2)],
    }
    for start, points in starts.items():
        writer = EventFileWriter(str(tmp_path / study.trainer.result / start))
        for step, tag, value in points:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(step=step, summary=summary, wall_time=step))
        writer.close()
    told = read_result(tmp_path / study.trainer.result, study.trainer.map, 1000)
    assert told.loss == pytest.approx(5.2)
    assert [tuple(point) for point in told.curve] == [(1000.0, 11.0), (10_000.0, 7.0), (20_000.0, 5.0)]


@pytest.mark.parametrize(
    ("name", "line", "step", "loss"),
    [
        ("nanochat", "step 00120/00480 (25.00%) | loss: 4.012345 | lrm: 1.00 | dt: 101.20ms", "00120", "4.012345"),
        ("torchtitan", "[titan] 2026-08-20 - root - INFO - step:  3  loss:  8.01234  grad_norm:  1.2", "3", "8.01234"),
    ],
)
def test_their_printed_lines_are_understood(name: str, line: str, step: str, loss: str) -> None:
    study = ft.load_study(EXAMPLES / f"{name}.toml")
    assert study.trainer
    found = re.search(study.trainer.progress, line)
    assert found
    assert (found["step"], found["loss"]) == (step, loss)
