"""Networks at rest: the checkpoints of Hugging Face (GPT-2, Llama, Mixtral, BERT, T5), and our own.

What transformers has no network for (a prefix, an LSTM, an encoder with rotary positions, shared experts, a capacity of
experts) is kept in the same files with our own names, under model_type `foretoken`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from foretoken.bounded import LARGEST_JSON, read_file
from foretoken.compute.shape import ModelShape
from foretoken.errors import CheckpointError, StoreError
from foretoken.models.attention import rotary_table
from foretoken.models.checkpoint_config import (
    architecture,
    shape_from_config_json,
    shape_from_json,
    shape_to_config_json,
)
from foretoken.models.checkpoint_files import TensorFiles, dtype_name, read_config_json, write_checkpoint
from foretoken.models.checkpoint_names import NAMES, SEGMENTS, Names
from foretoken.models.stack import Stack
from foretoken.store.atomic import read_json, write_file

OWN = "foretoken"
TOKENIZER = "tokenizer.json"

TokenIds = int | list[int] | None
"""The id of a special token, of several, or none."""

Built = TypeVar("Built", bound=nn.Module)


def read_network(folder: Path, make: Callable[[ModelShape], Built], keep_dtype: bool) -> Built:
    """What `from_pretrained` gives; `make` builds a network whose weights have no values yet."""
    config, files = read_config_json(folder), TensorFiles(folder)
    names = None if config.get("model_type") == OWN else NAMES[architecture(config)]
    shape = _own_shape(config) if names is None else _their_shape(config, names, files)
    network = _made(shape, make, len(files.shapes), names is not None)
    weights = dict(network.named_parameters())
    if names is not None:
        _drop_copies(files, names, {part for name in weights for part in _parts(name, shape, names)})
    _check(files, {part: tuple(view.shape) for part, view in _apart(weights, shape, names)})
    for name, weight in weights.items():
        whole = torch.cat([_transposed(files.read(part), part, names) for part in _parts(name, shape, names)])
        value = torch.empty(weight.shape, dtype=whole.dtype if keep_dtype else torch.float32)
        module, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(module), leaf, nn.Parameter(value.copy_(whole.view(weight.shape))))
    # buffers are no parameters, and were built without values: the table of rotary positions is made anew
    for part in network.modules():
        if isinstance(part, Stack) and part.rotary is not None:
            part.rotary = rotary_table(part.sizes.context, shape.head_width, shape.rotary_base)
    return network


def save_pretrained(
    network: nn.Module,
    folder: str | Path,
    *,
    tokenizer: str | Path | None = None,
    token_ids: Mapping[str, TokenIds] | None = None,
) -> Path:
    """Write config.json and model.safetensors into a folder; the inverse of `from_pretrained`, bit for bit.

    In the form of Hugging Face where transformers has the same network, else in our own. `tokenizer` is a
    tokenizer.json to lay beside it; `token_ids` go into the configuration (`{"pad_token_id": 0}`), which names none
    otherwise. Raises CheckpointError for a network without values, StoreError when the folder cannot be written.
    """
    folder, shape, weights = Path(folder), network.shape, dict(network.named_parameters())
    assert isinstance(shape, ModelShape)
    if any(weight.is_meta for weight in weights.values()):
        raise CheckpointError("a network without values cannot be saved", cure="build it with a seed")
    config = shape_to_config_json(shape)
    names = NAMES[config["model_type"]] if config else None
    config = config or {"model_type": OWN, "shape": asdict(shape)}
    config |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, **(token_ids or {})}
    config["torch_dtype"] = dtype_name(next(iter(weights.values())))
    if tokenizer is not None:
        content = read_file(tokenizer, StoreError, LARGEST_JSON)
        read_json(Path(tokenizer))  # refused before anything is written
        write_file(folder / TOKENIZER, content)
    write_checkpoint(folder, config, _named(_apart(weights, shape, names), names, config, shape))
    return folder


def _own_shape(config_json: Mapping[str, Any]) -> ModelShape:
    own = config_json.get("shape")
    return shape_from_json(own if isinstance(own, dict) else {})


def _their_shape(config_json: Mapping[str, Any], names: Names, files: TensorFiles) -> ModelShape:
    """The shape, once the tensors go by the names of the table."""
    for name in list(files.shapes):
        if re.fullmatch(names.ignored, name):
            files.drop(name)
        elif name.endswith((".gamma", ".beta")):
            files.rename(name, name.replace(".gamma", ".weight").replace(".beta", ".bias"))
    if not any(name.startswith(names.prefix) for name in files.shapes):
        for name in set(files.shapes) - set(names.copies):
            files.rename(name, names.prefix + name)
    for copy, first in names.copies.items():
        if copy in files.shapes and first not in files.shapes:
            files.rename(copy, first)
    shape = shape_from_config_json(config_json, files.shapes)
    if shape.token_types and SEGMENTS in files.shapes and not files.read(SEGMENTS).any():
        files.drop(SEGMENTS)  # a table of zeros adds nothing; it is how a network without segments is saved
        return replace(shape, token_types=0)
    return shape


def _made(shape: ModelShape, make: Callable[[ModelShape], Built], tensors: int, apart: bool) -> Built:
    """The empty network; a configuration of more layers than there are tensors is refused before it is built."""
    parts = shape.layers + shape.target_layers + shape.shared_experts + shape.experts * apart
    if parts > tensors:
        raise CheckpointError(
            "config.json names more layers or experts than there are tensors",
            expected=f"up to {tensors}",
            got=str(parts),
        )
    try:
        return make(shape)
    except (RuntimeError, OverflowError) as error:
        raise CheckpointError("config.json names sizes that no network can have", got=str(error)) from error


def _drop_copies(files: TensorFiles, names: Names, separate: set[str]) -> None:
    """Tied tensors may be there twice, but not with two values."""
    for copy, first in names.copies.items():
        if copy in files.shapes and copy not in separate:
            if not torch.equal(files.read(copy), files.read(first)):
                raise CheckpointError(
                    f"config.json ties {copy} to {first}, but the files hold two different tensors",
                    cure="set tie_word_embeddings to what the model was trained with",
                )
            files.drop(copy)


def _check(files: TensorFiles, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise CheckpointError when tensors are missing, too many, or of another shape."""
    shapes = files.shapes
    differ = [name for name in expected if shapes.get(name, expected[name]) != expected[name]]
    problems = {
        "missing": [name for name in expected if name not in shapes],
        "not known": [name for name in shapes if name not in expected],
        "of another shape": [f"{name} {shapes[name]} for {expected[name]}" for name in differ],
    }
    if any(problems.values()):
        listed = (f"{len(names)} {kind}: {', '.join(names[:3])}" for kind, names in problems.items() if names)
        raise CheckpointError(
            "the tensors are not those of the configuration",
            expected=f"{len(expected)} tensors",
            got="; ".join(listed),
            cure="take config.json and weights from one checkpoint of a language model",
        )


def _parts(name: str, shape: ModelShape, names: Names | None) -> list[str]:
    return [name] if names is None else names.theirs(name, shape.gated, shape.experts)


def _transposed(tensor: Tensor, part: str, names: Names | None) -> Tensor:
    return tensor.t() if names is not None and re.fullmatch(names.transposed, part) else tensor


def _apart(weights: Mapping[str, Tensor], shape: ModelShape, names: Names | None) -> Iterator[tuple[str, Tensor]]:
    """Views of our weights, by the names that they have in the files."""
    for name, weight in weights.items():
        parts = _parts(name, shape, names)
        rows = weight.flatten(0, 1) if len(parts) > 1 and weight.ndim == 3 else weight
        sizes = [len(rows) // len(parts)] * len(parts)
        if ".qkv." in name and len(parts) > 1:
            sizes = [shape.query_width, shape.kv_width, shape.kv_width]
        for part, view in zip(parts, torch.split(rows, sizes), strict=True):
            yield part, _transposed(view, part, names)


def _named(
    tensors: Iterator[tuple[str, Tensor]], names: Names | None, config_json: Mapping[str, Any], shape: ModelShape
) -> Iterator[tuple[str, Tensor]]:
    """As they are written: a bare model has no prefix, and BERT always has kinds of segments."""
    prefix = names.prefix if names is not None and config_json["architectures"] == ["BertModel"] else ""
    for name, tensor in tensors:
        yield name.removeprefix(prefix), tensor.detach().cpu()
    if config_json["model_type"] == "bert" and not shape.token_types:
        zeros = torch.zeros(config_json["type_vocab_size"], shape.width, dtype=tensor.dtype)
        yield SEGMENTS.removeprefix(prefix), zeros
