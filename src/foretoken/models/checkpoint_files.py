"""Tensors in safetensors files, one or several with an index; never pickle.

config.json is deleted before the first file is written and written last, so that a folder has it only when it is whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from foretoken.bounded import opened
from foretoken.errors import CheckpointError, shown
from foretoken.store.atomic import delete_file, read_json, write_file, write_json

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
OURS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
"""Names of the files that a checkpoint has; those of an older one are deleted."""
SHARD = 4 * 2**30
"""Most bytes of one file (unless one tensor has more)."""
DTYPES = ("F32", "F16", "BF16", "F64")


class TensorFiles:
    """The tensors of a checkpoint by name: shapes from the files' headers, values when they are asked for.

    Raises CheckpointError when there are no safetensors files, or damaged ones.
    """

    def __init__(self, folder: Path) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.places: dict[str, tuple[Any, str]] = {}
        """The open file of each, and its name there."""
        for path in _files(folder):
            file = _opened(path)
            names: list[str] = file.keys()
            for name in names:
                self._add(file, path, name)

    def _add(self, file: Any, path: Path, name: str) -> None:
        part = file.get_slice(name)
        if name in self.places:
            raise CheckpointError(f"two files have the tensor {shown(name)}", got=f"the second is {path}")
        if part.get_dtype() not in DTYPES:
            raise CheckpointError(
                f"{shown(name)} in {path} is of a kind that is not read here",
                expected=", ".join(DTYPES),
                got=str(part.get_dtype()),
                cure="save the checkpoint in float32, bfloat16 or float16",
            )
        self.shapes[name], self.places[name] = tuple(part.get_shape()), (file, name)

    def rename(self, old: str, new: str) -> None:
        """Know a tensor by another name."""
        self.shapes[new], self.places[new] = self.shapes.pop(old), self.places.pop(old)

    def drop(self, name: str) -> None:
        """Forget a tensor."""
        del self.shapes[name], self.places[name]

    def read(self, name: str) -> Tensor:
        """The values of one tensor."""
        file, its_name = self.places[name]
        tensor: Tensor = file.get_tensor(its_name)
        return tensor


def _opened(path: Path) -> Any:
    try:
        with opened(path, CheckpointError):  # which maps the file by its name, and asks nothing of its kind
            return safe_open(str(path), framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}", got=str(error), cure="restore it") from error


def _files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        raise CheckpointError(
            f"no weights in {folder}",
            expected=f"{WEIGHTS}, or {INDEX} with the files that it names",
            got=f"{', '.join(pickled[:3])}: pickle, which can run code and is never read" if pickled else None,
            cure="open it with transformers and save it again: save_pretrained writes safetensors",
        )
    index = read_json(folder / INDEX)
    named = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise CheckpointError(f"{folder / INDEX} has no weight_map of tensors to files", cure="restore it")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise CheckpointError(f"{folder / INDEX} names a file that is not there", got=shown(name))
    return [folder / name for name in names]


def read_config_json(folder: Path) -> dict[str, Any]:
    """The configuration of a checkpoint; raises CheckpointError, or StoreError when it is damaged."""
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"no checkpoint in {folder}",
            expected=f"a folder with {CONFIG} and {WEIGHTS}",
            got="no such folder" if not folder.is_dir() else f"no {CONFIG}",
            cure="download it first: nothing is fetched from a network here" if not folder.exists() else None,
        )
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict):
        raise CheckpointError(f"{folder / CONFIG} holds no object", got=shown(config))
    return config


def write_checkpoint(folder: Path, config_json: Mapping[str, Any], tensors: Iterator[tuple[str, Tensor]]) -> None:
    """Write tensors and configuration; raises StoreError, and then the folder has no configuration."""
    # first away, last back: a folder that has a configuration is whole
    delete_file(folder / CONFIG)
    shards = list(_shards(tensors))
    names: list[str] = []
    mapped: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = WEIGHTS if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        content = {key: tensor.contiguous() for key, tensor in shard.items()}
        write_file(folder / name, save(content, metadata={"format": "pt"}))
        names.append(name)
        mapped |= dict.fromkeys(shard, name)
    if len(shards) > 1:
        write_json(folder / INDEX, {"metadata": {"total_size": sum(map(_bytes, shards))}, "weight_map": mapped})
        names.append(INDEX)
    for path in sorted(folder.iterdir()):
        if OURS.fullmatch(path.name) and path.name not in names:
            delete_file(path)
    write_json(folder / CONFIG, dict(config_json))


def _shards(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """The tensors in groups of at most SHARD bytes; views, so that nothing is copied yet."""
    shard: dict[str, Tensor] = {}
    for name, tensor in tensors:
        if shard and _bytes(shard) + tensor.nbytes > SHARD:
            yield shard
            shard = {}
        shard[name] = tensor
    yield shard


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def dtype_name(tensor: Tensor) -> str:
    """As configurations write it.

    >>> import torch
    >>> dtype_name(torch.zeros(1))
    'float32'
    """
    return str(tensor.dtype).removeprefix("torch.")
