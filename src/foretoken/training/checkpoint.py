"""What training leaves on the disk: checkpoints, a TrainState as bytes and back; and the final weights of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from foretoken.compute.objective import PAD
from foretoken.data import TokenizedCorpus
from foretoken.data.subword import SubwordTokenizer
from foretoken.data.tokenizer import ByteTokenizer
from foretoken.data.tokenizer_files import load_tokenizer
from foretoken.models import Network, save_pretrained
from foretoken.objectives.examples import example_builder
from foretoken.runs.spec import RunSpec
from foretoken.store import checkpoints
from foretoken.store.atomic import write_json
from foretoken.store.weights import METADATA_FILE, ModelMetadata, commit_weights


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and what else a state holds, as plain values."""

    tensors: dict[str, Tensor]
    state_json: dict[str, Any]
    """The plain fields of a `TrainState`."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return int(self.state_json["step"])

    def write(self, folder: Path, attempt: int = 0) -> None:
        """Commit to `folder`: safetensors and plain JSON; raises StoreError, and the one before stays."""
        contents = {"tensors.safetensors": save(self.tensors), "state.json": json.dumps(self.state_json).encode()}
        checkpoints.commit(folder, self.step, attempt, contents)


def latest_checkpoint(folder: Path, at_most: int | None = None) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint (not beyond step `at_most`), and what was wrong with newer ones.

    Nothing of a file is parsed before its sha256 is found right.
    """
    contents, troubles = checkpoints.newest(folder, at_most)
    if contents is None:
        return None, troubles
    return Checkpoint(load(contents["tensors.safetensors"]), json.loads(contents["state.json"])), troubles


def keep_weights(folder: Path, network: Network, spec: RunSpec, corpus: TokenizedCorpus) -> None:
    """Write network, tokenizer and metadata of a run (see store/weights.py). Raises StoreError."""
    tokenizer = load_tokenizer(corpus.folder)
    metadata = ModelMetadata(
        run=spec.key,
        objective=spec.objective,
        tokenizer_json=tokenizer.to_json(),
        specials=example_builder(spec.objective, spec.shape, corpus).specials,
    )

    names = {"pad_token_id": PAD, "decoder_start_token_id": PAD if spec.shape.target_layers else ""}
    ids = {name: metadata.specials[token] for name, token in names.items() if token in metadata.specials}
    if tokenizer.separator is not None:
        ids["eos_token_id"] = tokenizer.separator

    def write(place: Path) -> None:
        save_pretrained(network, place, token_ids=ids)
        if isinstance(tokenizer, ByteTokenizer | SubwordTokenizer):
            tokenizer.save(place / "tokenizer.json")
        write_json(place / METADATA_FILE, metadata.to_json())

    commit_weights(folder, write)
