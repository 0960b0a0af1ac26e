"""The recipe of runs that a command of the user's trains: its sizes are listed, or follow from proportions."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property

from foretoken.compute.flops import matmul
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.compute.shape_fields import ShapeFields
from foretoken.designs.recipe import Recipe, TokenSource
from foretoken.designs.shapes import nearest_shape, shape_of_params, shape_of_width
from foretoken.errors import DesignError
from foretoken.runs.command import names
from foretoken.runs.spec import OwnTrainer, RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.trainer_section import Given, TrainerSection
from foretoken.units import format_count

NEAR = 1.1
"""Ratio of two numbers of parameters up to which they mean one listed size."""
LARGEST = 1_000_000
"""Of a number of a listed shape."""
NO_VOCABULARY = 1
"""The vocabulary of a shape that is counted without embeddings and head."""
SHAPE = {field.name for field in fields(ShapeFields)}
WHOLE = {field.name for field in fields(ShapeFields) if field.type in ("int", int)}


@dataclass(frozen=True, kw_only=True)
class OwnRecipe(Recipe):
    """A recipe of which only the command knows the rest: parameters and FLOPs are given, or counted from a shape."""

    trainer: TrainerSection
    code: str
    """Hash of the files that are named as code."""

    @cached_property
    def vocabulary(self) -> int:
        """Tokens of the networks."""
        return self.trainer.vocabulary or NO_VOCABULARY

    @cached_property
    def sizes(self) -> dict[ModelShape, Given]:
        """What is given of each listed size, the target's last, by the shape that it has or comes nearest to.

        Raises DesignError for sizes that are one, and for a shape that cannot be.
        """
        sizes: dict[ModelShape, Given] = {}
        for size in self.trainer.sizes:
            self._add(sizes, size)
        if self.study.target.size and self.study.target.size not in self.trainer.sizes:
            self._add(sizes, self.study.target.size)
        return sizes

    def _add(self, sizes: dict[ModelShape, Given], size: Given) -> None:
        """Add a size under a shape of its own. Raises DesignError where one that is there is the same."""
        shape = self._shape_of(size)
        while shape in sizes:
            if not self._are_told_apart(size, sizes[shape]):
                raise DesignError(
                    "two of trainer.sizes are one size",
                    expected="another `width`, ...; or other `params` alone, and a field of the command that differs",
                    got=f"{dict(sizes[shape])} and {dict(size)}",
                )
            # The shape of `params` alone only stands for the size, so the next one does as well.
            shape = replace(shape, feed_forward=shape.feed_forward + 1)
        sizes[shape] = size

    def _are_told_apart(self, one: Given, other: Given) -> bool:
        """Whether two sizes of `params` alone differ in what the command takes of them."""
        taken = names(self.trainer.command) & (set(one) | set(other))
        differ = any(one.get(name) != other.get(name) for name in taken)
        if SHAPE & (set(one) | set(other)) or not differ:
            return False
        return round(float(one["params"])) != round(float(other["params"]))

    @property
    def listed(self) -> list[ModelShape]:
        """The sizes of the small runs, where they are listed."""
        return list(self.sizes)[: len(self.trainer.sizes)]

    def params(self, shape: ModelShape) -> int:
        """Parameters of a size: as given, or counted; without embeddings where the vocabulary is not known."""
        given = self.sizes.get(shape, {}).get("params")
        if given is not None:
            return round(float(given))
        count = count_parameters(shape)
        return count.total if self.trainer.vocabulary else count.non_embedding

    def flops_per_token(self, shape: ModelShape) -> float:
        """FLOPs of one training token: as given, or those of the matrix products, or 6 N where only N is given."""
        size = self.sizes.get(shape, {})
        if "flops_per_token" in size:
            return float(size["flops_per_token"])
        return 6.0 * self.params(shape) if "params" in size else matmul(shape, self.objective.predicted(shape))

    def shape(self, params: float) -> ModelShape:
        """The listed size, or the shape, of about this many parameters; raises DesignError where there is none."""
        if not self.trainer.sizes:
            return shape_of_params(self.study.model, self.objective, self.vocabulary, params)
        nearest = self.nearest_shape(params)
        if not 1 / NEAR < self.params(nearest) / params < NEAR:
            known = ", ".join(sorted((format_count(self.params(shape)) for shape in self.listed), key=len))
            raise DesignError(
                "no size of trainer.sizes is near what is asked for",
                expected=f"about {format_count(params)} parameters",
                got=f"sizes of {known}",
                cure="add a size, or ask for one of these",
            )
        return nearest

    def nearest_shape(self, params: float) -> ModelShape:
        """The listed size, or the shape, whose parameters come nearest, however far that is."""
        if self.trainer.sizes:
            return min(self.listed, key=lambda shape: abs(math.log(self.params(shape) / params)))
        return nearest_shape(self.study.model, self.objective, self.vocabulary, params)

    def target_shape(self, params: float) -> ModelShape:
        """The target's size as it is given; else the nearest, a listed one where sizes are listed."""
        if not self.study.target.size:
            return self.nearest_shape(params)
        return next(shape for shape, size in self.sizes.items() if size == self.study.target.size)

    def spec(self, shape: ModelShape, tokens: float, *, group: str, threads: int) -> RunSpec:
        """One run of the command. Raises DesignError when the tokens do not make one step."""
        size = self.sizes.get(shape, {})
        counted = "params" not in size and self.trainer.vocabulary
        own = OwnTrainer(
            command=self.trainer.command,
            code=self.code,
            size=json.dumps(size, sort_keys=True),
            params=None if counted else self.params(shape),
            flops_per_token=None if counted and "flops_per_token" not in size else self.flops_per_token(shape),
        )
        run = super().spec(shape, tokens, group=group, threads=1)
        return replace(run, trainer=own, software=f"code {self.code}" if self.code else "own command")

    def _shape_of(self, size: Given) -> ModelShape:
        """The shape that a size describes; of one that is only a number of parameters, the nearest by proportions."""
        fixed = {name: size[name] for name in SHAPE & set(size)}
        for name in WHOLE & set(fixed):
            value, least = fixed[name], 4 if name == "width" else 0
            if not isinstance(value, int) or not least <= value <= LARGEST:
                raise DesignError(
                    f"`{name}` of a size is no number of a network",
                    expected=f"a whole number from {least} to {LARGEST:,}",
                    got=f"{value!r} in {dict(size)}",
                )
        if "width" in fixed:
            vocabulary = int(fixed.pop("vocabulary", self.vocabulary))
            base = shape_of_width(self.study.model, self.objective, vocabulary, int(fixed.pop("width")))
        elif "params" in size:
            base = nearest_shape(self.study.model, self.objective, self.vocabulary, float(size["params"]))
        else:
            raise DesignError(
                "a size of trainer.sizes says nothing of how large it is",
                expected="`params`, or `width` and the other fields of a shape",
                got=str(dict(size)),
            )
        try:
            return ModelShape.from_json({**asdict(base), **fixed})
        except (TypeError, KeyError) as error:
            raise DesignError("a size of trainer.sizes is no shape", got=f"{dict(size)}: {error}") from None


def own_recipe(study: Study, code: str) -> OwnRecipe:
    """The recipe of a study with an own trainer, whose named files have this hash."""
    assert study.trainer
    source = TokenSource(
        address="own", tokenizer="own", eval_set=study.trainer.eval_set, vocabulary=0, train_tokens=2**62
    )
    return OwnRecipe(study=study, source=source, torch_version="", bfloat16=False, trainer=study.trainer, code=code)
