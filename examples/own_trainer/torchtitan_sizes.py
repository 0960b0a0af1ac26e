"""Sizes of Llama 3 for torchtitan 0.2.2, by the names that torchtitan.toml gives them."""

from torchtitan.models.llama3 import TransformerModelArgs, llama3_args

for width, layers in [(256, 4), (384, 6), (512, 8), (768, 12), (1280, 20)]:
    llama3_args[f"w{width}"] = TransformerModelArgs(dim=width, n_layers=layers, n_heads=width // 64, rope_theta=500_000)
