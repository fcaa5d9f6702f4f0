"""Small models with random weights."""

import pytest
import torch

SMALL = {"vocab_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}


def transformer(name, **config):
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, name)(getattr(transformers, config.pop("config"))(**config))


def llama(**config):
    return transformer("LlamaForCausalLM", config="LlamaConfig", num_key_value_heads=1, **SMALL | config)


def mixtral():
    experts = {"num_key_value_heads": 1, "num_local_experts": 4}
    return transformer("MixtralForCausalLM", config="MixtralConfig", **experts, **SMALL)


def gpt2():
    return transformer("GPT2LMHeadModel", config="GPT2Config", vocab_size=96, n_embd=32, n_layer=1, n_head=2)


def gpt_oss():
    return transformer(
        "GptOssForCausalLM", config="GptOssConfig", num_key_value_heads=1, num_local_experts=4, head_dim=16, **SMALL
    )


def vit():
    images = {"image_size": 32, "patch_size": 8, "num_labels": 16}
    return transformer("ViTForImageClassification", config="ViTConfig", **images, **SMALL)


def two_layers(device=None):
    first, last = torch.nn.Linear(32, 64, device=device), torch.nn.Linear(64, 32, device=device)
    return torch.nn.Sequential(first, torch.nn.ReLU(), last)


def sparsity_of(module, tensor="weight"):
    """The last parametrization of a module's tensor."""
    return module.parametrizations[tensor][-1]


def train(model, optimizer, steps, x=None):
    for _ in range(steps):
        optimizer.zero_grad()
        batch = torch.randn(64, 32, device=next(model.parameters()).device) if x is None else x
        model(batch).square().sum().backward()
        optimizer.step()
