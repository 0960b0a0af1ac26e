from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from foretoken.arguments import ArgumentNameError
from foretoken.errors import StudyFileError
from foretoken.runs.schema import EXAMPLES, DesignKind, RuleSection
from foretoken.runs.study_file import all_keys, load_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").rglob("*.toml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_that_we_ship_is_valid(path: Path) -> None:
    assert load_study(path).name


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "../up"\nsed = 1\n[corpus]\nsource = "web"\n[model]\npreset = "gpt5"\ncontexts = 3\n'
        '[training]\ncooldown = 2.0\n[design]\nbudgets = ["1e9 FLOP", "lots"]\ncenter = "hofman"\n'
    )
    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    told = str(caught.value)
    for part in (
        "name:", "sed: unknown key; did you mean 'seed'?", "corpus.source", "zipf_markov", "model.preset",
        "known: bert, encoder, gpt2",
        "model.contexts: unknown key; did you mean 'context'?", "training.cooldown", "design.budgets.1", "'lots'",
        "besiroglu_2024",
    ):  # fmt: skip
        assert part in told, part
    assert f"{len(told.splitlines()) - 1} mistake(s)" in told


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name = ", "not TOML"),
        ('name = "a"', "design: needed, and not there"),
        ('name = "a"\n[design]\nkind = "isoflop"', "budgets"),
        ('name = "a"\n[design]\nkind = "ladder"', "tokens_per_param"),
        ('name = "a"\n[corpus]\nsource = "text"\n[design]\nbudgets = [1e9]', "`path` is needed"),
        ('name = "a"\n[design]\nbudgets = [-1]', "above 0"),
        ('name = "a"\n[training]\nclip = inf\n[design]\nbudgets = [1e9]', "finite"),
        ('name = "a"\n[design]\nbudgets = [1e9]\ncenter = 0', "center"),
        ('name = "a"\n[design]\nbudgets = [1e9]\nsizes_per_budget = 3', "sizes_per_budget"),
        ('name = "a"\n[training]\nwarmup_share = 0.9\n[design]\nbudgets = [1e9]', "exceed the run"),
        ('name = "a"\n[training]\neval_tokens = 100\n[design]\nbudgets = [1e9]', "two contexts"),
        ('name = "corpora"\n[design]\nbudgets = [1e9]', "taken"),
        ('name = "a"\nseed = -1\n[design]\nbudgets = [1e9]', "seed"),
        ('name = "a"\n[design]\nbudgets = [1e9]\n[training.spikes]\nsigmas = 1', r"training\.spikes\.sigmas: .* 2 "),
        ('name = "a"\n[design]\nbudgets = [1e9]\n[training.spikes]\nmax_spikes = 0', r"training\.spikes\.max_spikes"),
        ('name = "a"\n[design]\nbudgets = [1e9]\n[training.spikes]\npolicy = "hope"', r"'stop', 'skip' or 'roll_back'"),
        ('name = "a"\n[design]\nbudgets = [1e9]\n[objective]\nkind = "maskd"', r"objective\.kind: .*'masked'"),
        ('name = "a"\n[design]\nbudgets = [1e9]\n[objective]\ncorruption_rate = 1', r"objective\.corruption_rate"),
        ('name = "a"\n[design]\nbudgets = [1e9]\n[objective]\nmean_span_length = 0.5', "objective: .*at least 1 token"),
        ('name = "a"\n[design]\nbudgets = [1e9]\n[model]\npreset = "lama"', "did you mean 'llama'"),
        ('name = "a"\n[design]\nbudgets = [1e9]\ncenter = "besiroglu"', "did you mean 'besiroglu_2024'"),
        (
            'name = "a"\n[design]\nbudgets = [1e9]\n[model]\nexperts = 4\nrouter_losses = { z = -1 }',
            r"router_losses\.z",
        ),
    ],
)
def test_single_mistakes(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(StudyFileError, match=part):
        load_study(tmp_path / "study.toml")


LADDER = 'name = "a"\n[design]\nkind = "ladder"\nparams = [1e5, 2e5]\ntokens_per_param = [20]\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[trainer]\ncommand = 4", "trainer.command: expected a text (got 4)"),
        ("[trainer]", "trainer.command: needed, and not there"),
        ('[trainer]\ncommand = "a"\ncode = "b"', "trainer.code: expected a list (got 'b')"),
        ('[trainer]\ncommand = "a"\nsizes = [4]', "trainer.sizes.0: expected a table (got 4)"),
        (
            '[trainer]\ncommand = "a"\nsizes = [{ params = [1] }]',
            "trainer.sizes.0.params: expected a number or a text (got [1])",
        ),
        ('[trainer]\ncommand = "a"\nretries = "one"', "trainer.retries: expected a whole number (got 'one')"),
        (
            '[trainer]\ncommand = "a"\nresume = "b"',
            'trainer: `resume` needs `checkpoint`, the pattern of what a run goes on from, as "*.pt"',
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_key_and_what_was_expected(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(LADDER + text)
    with pytest.raises(StudyFileError) as refusal:
        load_study(path)
    assert str(refusal.value).splitlines()[1:] == [f"    {line}"]


@pytest.mark.parametrize(
    "setting",
    [
        '[trainer]\ncommand = "a"\nvocabulary = true',
        '[trainer]\ncommand = "a"\nwait_seconds = true',
        '[trainer]\ncommand = "a"\nsizes = [{ params = true }]',
        '[trainer]\ncommand = "a"\nsizes = [{ width = 64, layers = true }]',
        "[launch]\nworkers = true",
        "[model]\nlayers = true",
        "[training]\nweight_decay = true",
        "[training]\nspikes = { rewind = true }",
        "[training]\nlearning_rate = { value = 1e-3, exponent = true }",
        "[model]\nexperts = 4\nrouter_losses = { z = true }",
        '[objective]\nkind = "masked"\nmean_span_length = true\n[model]\npreset = "bert"',
        "[corpus]\nrepeat = 1",
        '[model]\ntied = "yes"',
    ],
)
def test_a_flag_is_no_number_and_a_number_no_flag(setting: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(LADDER + setting)
    with pytest.raises(StudyFileError, match=r"expected (a number|true or false)"):
        load_study(path)


def test_a_flag_among_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(LADDER.replace("[20]", "[20, true]"))
    with pytest.raises(StudyFileError, match=r"design\.tokens_per_param: expected a number"):
        load_study(path)
    path.write_text(LADDER + '[launch]\nkind = "slurm"\noptions = { exclusive = true, nice = 5 }\n')
    assert load_study(path).launch.options == {"exclusive": True, "nice": 5}


def test_quantities_and_changes(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('name = "a"\n[training]\neval_tokens = "4k"\n[design]\nbudgets = ["1e9 FLOP", 2e9]')
    study = load_study(path, seed=4)
    assert (study.seed, study.training.eval_tokens, study.design.budgets) == (4, 4000.0, [1e9, 2e9])


def test_a_rule_is_a_power_law() -> None:
    rule = RuleSection(value=1e-3, at_params=1e5, exponent=-0.5)
    assert rule.at(1e5) == pytest.approx(1e-3)
    assert rule.at(4e5) == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a" + ".a" * 20_000 + " = 1", "nested too deeply"),
        ("seed = " + "9" * 5000, "not TOML"),
        ("# " + "x" * 2**18, "too large"),
        ('name = "a"\n[design]\nbudgets = [' + "1e9," * 101 + "]", "at most 100 items"),
        ('name = "a"\n[design]\nbudgets = [1e300]', "1e\\+32|1000000000000000"),
        ('name = "a"\n[design]\nbudgets = [1e9]\nsizes_per_budget = 1_000_000_000', "sizes_per_budget"),
        ('name = "a"\n[design]\nbudgets = [1e9]\nsize_ratio = 1.0000001', "size_ratio"),
        ('name = "a"\n[model]\nwidth_per_layer = 1e-300\n[design]\nbudgets = [1e9]', "width_per_layer"),
        ('name = "a\\u0000b"\n[design]\nbudgets = [1e9]', "name"),
    ],
)
def test_what_would_hang_or_fill_the_memory_is_refused(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(StudyFileError, match=part):
        load_study(tmp_path / "study.toml")


def test_of_a_file_of_rubbish_the_first_mistakes_are_told(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("".join(f"k{n} = '{'x' * 50}'\n" for n in range(3000)))
    with pytest.raises(StudyFileError, match=r"3002 mistake|3001 mistake") as caught:
        load_study(tmp_path / "study.toml")
    assert len(str(caught.value)) < 7000


@pytest.mark.parametrize("kind", get_args(DesignKind))
def test_each_kind_of_design_is_refused_with_an_example_that_is_sound(kind: DesignKind, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f'name = "a"\n[design]\nkind = "{kind}"\n')
    with pytest.raises(StudyFileError) as refusal:
        load_study(path)
    assert EXAMPLES[kind] in str(refusal.value)
    lines = EXAMPLES[kind].replace("], ", "]\n")
    path.write_text(f'name = "a"\n[design]\nkind = "{kind}"\n{lines}\n')
    assert load_study(path).design.kind == kind


def test_every_table_of_the_file_is_known() -> None:
    keys = set(all_keys())
    assert {"seed", "corpus.language.symbols", "training.spikes.skip_batches", "training.learning_rate.value"} <= keys
    assert {"model.router_losses.load_balance", "objective.kind", "design.runs.learning_rate_factors"} <= keys


def misspelled(name: str) -> str:
    """The name with its middle letter doubled."""
    middle = len(name) // 2
    return name[:middle] + name[middle] + name[middle:]


IN_A_LIST = re.compile(r"\b(runs|tasks|gpus)\.")
LONG_KEYS = [key for key in sorted(all_keys()) if len(key.split(".")[-1]) > 4 and not IN_A_LIST.search(key)]


@pytest.mark.parametrize("key", LONG_KEYS)
def test_a_misspelled_key_shows_the_right_one(key: str, tmp_path: Path) -> None:
    table, _, name = key.rpartition(".")
    path = tmp_path / "study.toml"
    header = f"[{table}]\n" if table else ""
    path.write_text(f"{header}{misspelled(name)} = 1\n")
    with pytest.raises(StudyFileError) as refusal:
        load_study(path)
    place = ".".join(filter(None, [table, misspelled(name)]))
    assert f"  {place}: unknown key; did you mean {name!r}? known: " in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[training]\nspikes = { policy = 'skip', cooldown = 3 }", "'training.cooldown'"),
        ("[training]\ncontext = 128", "'model.context'"),
        ("[model]\nworkers = 2", "'launch.workers'"),
        ("[training]\nobjective = 'masked'", "'objective'"),
    ],
)
def test_a_key_in_the_wrong_table_shows_its_own(text: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(StudyFileError, match=f"unknown key; did you mean {hint}"):
        load_study(tmp_path / "study.toml")


def test_a_seed_and_a_name_stand_in_place_of_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('name = "a"\nseed = 1\n[design]\nbudgets = [1e9]')
    assert (load_study(path).name, load_study(path).seed) == ("a", 1)
    study = load_study(path, seed=0, name="b")
    assert (study.name, study.seed) == ("b", 0)
    with pytest.raises(StudyFileError, match="name: "):
        load_study(path, name="../up")
    with pytest.raises(ArgumentNameError, match=r"(?s)no argument 'sede'.*did you mean 'seed'"):
        load_study(path, sede=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(("key", "wrong", "near"), [("kind", "isoflp", "isoflop"), ("kind", "lader", "ladder")])
def test_a_word_that_is_none_of_the_known_ones_shows_the_nearest(
    mini_file: Path, key: str, wrong: str, near: str
) -> None:
    mini_file.write_text(mini_file.read_text().replace("[design]", f'[design]\n{key} = "{wrong}"'))
    with pytest.raises(StudyFileError, match=f"did you mean '{near}'"):
        load_study(mini_file)
