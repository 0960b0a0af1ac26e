"""A recipe as files that programs run: a study for `foretoken run`, and a config of transformers."""

from __future__ import annotations

import json
from typing import Any

from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError
from foretoken.plans.recipe import Recipe
from foretoken.plans.result import Plan

BUDGETS, FACTOR = 4, 256.0
"""IsoFLOP budgets of the ladder, a factor 2 apart, and the plan's compute over that of the largest: 5 % in all."""
SLOPE = -0.65
"""Exponent of the learning rate in the size along the ladder, as in studies/quickstart.toml."""

STUDY, CONFIG = "planned.toml", "config.json"
RUN_BY = {
    STUDY: "foretoken run {path}, when its [corpus] names your text",
    CONFIG: "transformers: AutoModelForCausalLM.from_config(AutoConfig.from_pretrained('{folder}'))",
}
"""What runs each file, by its name."""


def export_files(plan: Plan) -> dict[str, str]:
    """Every file by its name: a study; for decoders a config of transformers. `RUN_BY` says what runs each.

    Raises DesignError where the plan has no recipe.

    >>> from foretoken.plans import plan
    >>> sorted(export_files(plan("1e22", law="besiroglu_2024")))
    ['config.json', 'planned.toml']
    """
    if plan.recipe is None:
        raise DesignError("the plan has no recipe to write", got=plan.recipe_reason or "")
    files = {STUDY: study_toml(plan, plan.recipe)}
    shape = plan.recipe.shape
    if shape.family_record.causal_decoder:
        files[CONFIG] = transformers_config(shape)
    return files


def study_toml(plan: Plan, recipe: Recipe, name: str = "planned", factor: float = FACTOR) -> str:
    """A study file whose target is the plan: small runs first, at 1/factor of its compute and less.

    The text to train on is for the user to fill in. `foretoken run` accepts the file as it stands.
    """
    # Octaves 1, 1/2, 1/4, 1/8 with 7 runs each cost 7 x 1.875 / 256 = 5.1 % of the plan's compute.
    budgets = ", ".join(f"{plan.flops / factor / 2**k:.4g}" for k in reversed(range(BUDGETS)))
    # The sizes of a study count every parameter, experts that a token does not pass too.
    per_param = plan.tokens / (plan.experts.total_params if plan.experts else plan.params)
    return f"""# A run of {plan.params:.4g} {plan.counted} on {plan.tokens:.4g} tokens, and the ladder that checks it:
# {7 * sum(2.0**-k for k in range(BUDGETS)) / factor:.1%} of its compute.
name = "{name}"

{recipe_toml(recipe)}
[design]
kind = "isoflop"
budgets = [{budgets}]
sizes_per_budget = 7
size_ratio = 1.4
center = {per_param:.4g}

[target]
compute_factor = {factor:g}
tokens_per_param = {per_param:.4g}
"""


def recipe_toml(recipe: Recipe, slopes: tuple[float, float] = (SLOPE, 0.5)) -> str:
    """The tables of a study file that say the text, the model and the training.

    `slopes` are the exponents of the learning rate and of the batch in the size.
    """
    rate, batch, shape = recipe.learning_rate, recipe.batch_tokens, recipe.shape
    return f"""[corpus]
source = "python-stdlib"        # put yours here: source = "text", path = "..."
tokenizer = "byte"

[model]
{_model(shape)}
context = {shape.context}
width_per_layer = {shape.width / shape.layers:.4g}

[training]
# {rate.spread[0]:.3g} to {rate.spread[1]:.3g} by {", ".join(law.id for law in rate.laws)}
learning_rate = {{ value = {rate.value:.4g}, at_params = {recipe.params_total}, exponent = {slopes[0]:.3g} }}
# {batch.spread[0]:.3g} to {batch.spread[1]:.3g} tokens by {", ".join(law.id for law in batch.laws)}
batch_tokens = {{ value = {batch.value:.0f}, at_params = {recipe.params_total}, exponent = {slopes[1]:.3g} }}
warmup_share = {min(0.2, recipe.warmup_tokens.value / recipe.tokens):.3g}
schedule = "wsd"
cooldown = {recipe.settled["cooldown"]}
weight_decay = {recipe.settled["weight_decay"]}
beta1 = {recipe.settled["beta1"]}
beta2 = {recipe.settled["beta2"]}
clip = {recipe.settled["clip"]}

[objective]
kind = "{shape.family_record.usual_objective}"
"""


def _model(shape: ModelShape) -> str:
    """The lines of a study's [model] that tell the family."""
    if shape.experts:
        return (
            f'preset = "mixtral"\nexperts = {shape.experts}\nactive_experts = {shape.active_experts}\n'
            f"expert_width_ratio = {shape.expert_width / shape.feed_forward:.4g}"
        )
    return f'preset = "{shape.family_record.preset}"\ntied = {str(shape.tied).lower()}'


def transformers_config(shape: ModelShape) -> str:
    """The shape as the config.json of a transformers LlamaForCausalLM, or MixtralForCausalLM with experts."""
    kind = "Mixtral" if shape.experts else "Llama"
    values: dict[str, Any] = {
        "architectures": [f"{kind}ForCausalLM"],
        "model_type": kind.lower(),
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads or shape.heads,
        "max_position_embeddings": shape.context,
        "vocab_size": shape.vocabulary,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": shape.tied,
    }
    if shape.experts:
        values |= {
            "intermediate_size": shape.expert_width,
            "num_local_experts": shape.experts,
            "num_experts_per_tok": shape.active_experts,
        }
    return json.dumps(values, indent=2) + "\n"
