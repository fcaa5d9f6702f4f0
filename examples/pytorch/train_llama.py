"""Trains a small sparse Llama with plain Hugging Face code: refreshes its masks, saves, reloads, finalizes and exports
it.

    python train_llama.py FOLDER
    accelerate launch --num_processes 2 --use_fsdp --fsdp_version 2 --fsdp_state_dict_type SHARDED_STATE_DICT \\
        --fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP --fsdp_transformer_layer_cls_to_wrap LlamaDecoderLayer \\
        train_llama.py FOLDER

Both commands find the same masks. `from_pretrained` reads FOLDER/plain, which has zeros where the masks prune.
"""

import argparse
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import tsenor_torch


def make_model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=128, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config)
    plan = tsenor_torch.sparsify(model, 8, 16)
    return model, plan


def train(model, optimizer, accelerator, steps):
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        start = torch.randint(0, 128, (8, 1), generator=generator)
        ids = ((start + torch.arange(32)) % 128).to(accelerator.device)  # text that counts
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
    return loss.item()


def export(sparse, folder):
    """The plain model of a sparse state_dict: for `from_pretrained`, and as a program."""
    plain, _ = make_model()
    plain.load_state_dict(sparse)
    tsenor_torch.finalize(plain)
    plain.save_pretrained(folder / "plain")
    masks = {name: value != 0 for name, value in plain.state_dict().items() if "_proj" in name}
    save_file(masks, folder / "masks.safetensors")
    ids = torch.arange(32)[None]
    program = torch.export.export(plain, (ids,), {"use_cache": False}, strict=False)
    torch.export.save(program, folder / "plain.pt2")
    loaded = AutoModelForCausalLM.from_pretrained(folder / "plain")
    print("same logits:", torch.equal(loaded(ids).logits, plain(ids).logits))


def main(folder):
    accelerator = Accelerator()
    model, plan = make_model()
    accelerator.print(plan)
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=3e-3))
    tsenor_torch.MaskRefresh(model, optimizer, every=4)
    train(model, optimizer, accelerator, range(10))
    accelerator.save_state(folder / "checkpoint")  # weights, masks and the steps counted

    accelerator.free_memory()
    model, _ = make_model()
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=3e-3))
    refresh = tsenor_torch.MaskRefresh(model, optimizer, every=4)
    accelerator.load_state(folder / "checkpoint")
    accelerator.print("continues after step", refresh.steps)
    accelerator.print("loss", train(model, optimizer, accelerator, range(10, 20)))

    sparse = accelerator.get_state_dict(model)  # whole tensors, on rank 0
    if accelerator.is_main_process:
        export({name: value.cpu() for name, value in sparse.items()}, folder)
    accelerator.wait_for_everyone()
    accelerator.end_training()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, metavar="FOLDER", help="where to save")
    main(arguments.parse_args().folder)
