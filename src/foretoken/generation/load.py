"""Opening a model: the kept weights of a study's run, or a folder of safetensors. Never pickle.

A source is a study file, a study's folder, or a folder with config.json, model.safetensors and tokenizer.json.
"""

from __future__ import annotations

import re
from pathlib import Path

from foretoken.arguments import named_arguments
from foretoken.compute.objective import CLS, MASK, PAD, SEP, Objective
from foretoken.data.specials import special_ids
from foretoken.data.subword import SubwordTokenizer, refusing, the_package
from foretoken.data.tokenizer import TOKENIZER, Tokenizer, tokenizer_from_json
from foretoken.data.tokenizer_files import load_tokenizer
from foretoken.errors import CheckpointError, CorpusError, ForetokenError, StoreError, shown
from foretoken.escapes import command
from foretoken.generation.model import SENTINEL, Model, sentinel_number
from foretoken.models import Network, from_pretrained
from foretoken.models.checkpoint_files import read_config_json
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study, load_study
from foretoken.store.format import read_format_json
from foretoken.store.store import Store
from foretoken.store.weights import ModelMetadata, are_committed, check_weights, read_metadata

ModelSource = str | Path | Study | Model
KEEP_WEIGHTS = (
    'set keep_weights = "target" or "all" under [launch] and run the study again: it trains the runs that lack them'
)


@named_arguments
def open_model(source: ModelSource, run: str | None = None) -> Model:
    """The model of a study (its target, or the `run` whose key begins so), or of a folder of weights.

    Raises StoreError when a study has kept no weights or they are damaged, CheckpointError for weights that no network
    here has, CorpusError for a tokenizer that is missing or not the network's.
    """
    if isinstance(source, Model):
        return source
    folder = _folder(source)
    if (folder / "design.json").is_file():
        folder = _weights_of(folder, run)
    elif run is not None:
        raise StoreError(f"{folder} is no study that was run, so it has no runs", got=f"run {run!r}")
    elif isinstance(source, Study) or Path(source).suffix == ".toml":
        raise StoreError(
            f"no study has been started in {folder}",
            cure=command("run", source.name if isinstance(source, Study) else source),
        )
    if are_committed(folder):
        check_weights(folder)
    metadata = read_metadata(folder)
    network = from_pretrained(folder).eval()
    return _foreign_model(folder, network) if metadata is None else _own_model(folder, network, metadata)


def _folder(source: str | Path | Study) -> Path:
    if isinstance(source, Study):
        return Path("runs") / source.name
    path = Path(source).expanduser()
    return Path("runs") / load_study(path).name if path.suffix == ".toml" else path


def _weights_of(home: Path, run: str | None) -> Path:
    """The kept weights of one run of a study."""
    store = Store(home)
    key = _target_key(home) if run is None else _key_beginning(home, run)
    weights, record = store.weights_folder(key), store.record(key)
    if are_committed(weights):
        return weights
    if record is not None and record.is_finished:
        raise StoreError(f"the run {key} has kept no weights", expected=f"the folder {weights}", cure=KEEP_WEIGHTS)
    raise StoreError(
        f"{'the target' if run is None else 'this run'} of the study in {home} has not been trained",
        expected="a finished run",
        got=f"{key}: {'no record' if record is None else record.status}",
        cure="foretoken run, or name another run: --run KEY",
    )


def _target_key(home: Path) -> str:
    try:
        return RunSpec.from_json(read_format_json(home / "design.json")["target"]).key
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{home / 'design.json'} is no design", got=repr(error), cure="run the study again") from error


def _key_beginning(home: Path, beginning: str) -> str:
    """The key of the one run whose key begins so."""
    known = sorted(path.name for path in (home / "runs").glob("*") if path.is_dir())
    matches = [key for key in known if key.startswith(beginning)] if re.fullmatch("[0-9a-f]+", beginning) else []
    if len(matches) != 1:
        with_weights = [key for key in matches or known if are_committed(home / "runs" / key / "weights")]
        raise StoreError(
            f"{'several runs have keys' if matches else 'no run has a key'} with this beginning",
            expected=f"one of those with kept weights: {', '.join(with_weights) or 'there are none'}",
            got=shown(beginning),
        )
    return matches[0]


def _own_model(folder: Path, network: Network, metadata: ModelMetadata) -> Model:
    """A model that was trained here: the metadata beside its weights say how a text is framed."""
    try:
        tokenizer = tokenizer_from_json(metadata.tokenizer_json)
    except (KeyError, TypeError, ForetokenError) as error:
        raise StoreError(f"the tokenizer of {folder} cannot be read", got=repr(error), cure="restore it") from error
    specials, masked = metadata.specials, metadata.objective.is_masked
    _check_vocabulary(folder, network, max([tokenizer.vocabulary - 1, *specials.values()]) + 1)
    return Model(
        name=f"run {metadata.run}",
        network=network,
        folder=folder,
        tokenizer=tokenizer,
        objective=metadata.objective,
        specials=specials,
        before=(specials[CLS],) if masked and CLS in specials else (),
        after=(specials[SEP],) if masked and SEP in specials else (),
    )


def _foreign_model(folder: Path, network: Network) -> Model:
    """Somebody else's weights: the tokenizer's file says its special tokens, and which stand around a text."""
    if not (folder / TOKENIZER).is_file():
        raise CorpusError(
            f"the weights in {folder} have no tokenizer beside them",
            expected=f"{TOKENIZER} of the package `tokenizers`",
            cure=f"copy the model's {TOKENIZER} into the folder",
        )
    tokenizer, family, config = (
        load_tokenizer(folder / TOKENIZER),
        network.shape.family_record,
        read_config_json(folder),
    )
    _set_separator(tokenizer, config.get("eos_token_id"))
    _check_vocabulary(folder, network, tokenizer.vocabulary)
    sentinels = sorted((name for name in tokenizer.specials if SENTINEL.fullmatch(name)), key=sentinel_number)
    specials = _known_specials(tokenizer, [PAD, CLS, SEP, MASK, *sentinels])
    before, after = _surrounding_tokens(tokenizer)
    if not family.generates and not (before or after) and {CLS, SEP} <= set(specials):
        before, after = (specials[CLS],), (specials[SEP],)
    return Model(
        name=str(folder),
        network=network,
        folder=folder,
        tokenizer=tokenizer,
        objective=Objective(kind=family.usual_objective),
        specials=specials,
        headless=config.get("model_type") == "bert" and network.shape.head != "masked",
        before=before,
        after=after,
    )


def _set_separator(tokenizer: Tokenizer, eos_token_id: object) -> None:
    """Where several tokens may end a document, take the one that the configuration names, if it names one."""
    if isinstance(tokenizer, SubwordTokenizer) and tokenizer.separator is None and type(eos_token_id) is int:
        tokenizer.end_documents_with(tokenizer.names.get(eos_token_id))


def _check_vocabulary(folder: Path, network: Network, needed: int) -> None:
    if needed > network.shape.vocabulary:
        raise CheckpointError(
            f"the tokenizer in {folder} is not the network's",
            expected=f"at most {network.shape.vocabulary} tokens",
            got=f"{needed} tokens",
        )


def _known_specials(tokenizer: Tokenizer, names: list[str]) -> dict[str, int]:
    """Those of the special tokens that the tokenizer has, under any of their spellings."""
    vocabulary = tokenizer.vocabulary
    ids = {name: special_ids(tokenizer.specials, vocabulary, False, [name])[0][name] for name in names}
    # What the tokenizer lacks would be numbered from its vocabulary up.
    return {name: token for name, token in ids.items() if token < vocabulary}


def _surrounding_tokens(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens that the file's post-processor puts before and after a text."""
    if not isinstance(tokenizer, SubwordTokenizer):
        return (), ()
    with refusing("the tokenizer cannot be used"):
        package_tokenizer = the_package().Tokenizer.from_str(tokenizer.definition)
        text = package_tokenizer.encode("a", add_special_tokens=False).ids
        framed = package_tokenizer.encode("a", add_special_tokens=True).ids
    for start in range(len(framed) - len(text) + 1):
        if text and framed[start : start + len(text)] == text:
            return tuple(framed[:start]), tuple(framed[start + len(text) :])
    return (), ()
