"""A Llama of any size by transformers' Trainer, which leaves trainer_state.json and goes on from its checkpoints."""

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

parser = argparse.ArgumentParser()
for name in ("width", "layers", "heads", "feed_forward", "context", "vocabulary", "batch_tokens", "steps", "seed"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--learning_rate", type=float, required=True)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--resume", action="store_true")
a = parser.parse_args()


class Windows(torch.utils.data.Dataset):
    def __init__(self, split: str) -> None:
        self.tokens = np.memmap(a.data / f"{split}.bin", dtype="u1" if a.vocabulary <= 256 else "<u2", mode="r")

    def __len__(self) -> int:
        return len(self.tokens) // a.context

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        window = torch.from_numpy(self.tokens[place * a.context : (place + 1) * a.context].astype(np.int64))
        return {"input_ids": window, "labels": window}


config = LlamaConfig(
    vocab_size=a.vocabulary,
    hidden_size=a.width,
    num_hidden_layers=a.layers,
    num_attention_heads=a.heads,
    intermediate_size=a.feed_forward,
    max_position_embeddings=a.context,
    tie_word_embeddings=True,
)
torch.manual_seed(a.seed)
trainer = Trainer(
    model=LlamaForCausalLM(config),
    args=TrainingArguments(
        output_dir=str(a.out),
        max_steps=a.steps,
        per_device_train_batch_size=a.batch_tokens // a.context,
        per_device_eval_batch_size=64,
        learning_rate=a.learning_rate,
        lr_scheduler_type="cosine",
        logging_steps=max(1, a.steps // 20),
        save_steps=max(1, a.steps // 4),
        save_total_limit=1,
        seed=a.seed,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
    ),
    train_dataset=Windows("train"),
    eval_dataset=Windows("validation"),
)
trainer.train(resume_from_checkpoint=a.resume or None)
trainer.evaluate()
trainer.save_state()
