"""What is pruned by default, on small models of transformers and PyTorch's own layers."""

import torch
import torch.nn.utils.prune
from models import gpt2, gpt_oss, llama, mixtral, vit

from tsenor_torch.targets import misfit, targets

def pruned(model):
    return {t.name: t for t in targets(model) if not t.reason}


def reasons(model):
    return {t.name: t.reason for t in targets(model) if t.reason}


def test_llama_without_head_and_embedding():
    model = llama()
    assert {name.split(".")[-2] for name in pruned(model)} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    }
    assert reasons(model)["lm_head.weight"] == "an output head"
    assert reasons(model)["model.embed_tokens.weight"] == "an embedding"


def test_ties_are_found_and_said():
    tied = reasons(llama(tie_word_embeddings=True))
    assert tied["lm_head.weight"] == "tied to model.embed_tokens.weight"
    assert tied["model.embed_tokens.weight"] == "tied to lm_head.weight"
    first, second = torch.nn.Linear(32, 32), torch.nn.Linear(32, 32)
    second.weight = first.weight
    assert set(pruned(torch.nn.Sequential(first, second, first))) == set()
    assert set(pruned(torch.nn.Sequential(first, torch.nn.ReLU(), first))) == {"0.weight"}  # one layer, called twice


def test_gpt2_has_transposed_matrices():
    found = pruned(gpt2())
    assert {t.name.split(".", 3)[-1] for t in found.values()} == {
        "attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"
    }
    assert all(t.transposed for t in found.values())


def test_experts_are_batches_and_routers_stay_dense():
    model = mixtral()
    experts = {name: t for name, t in pruned(model).items() if t.kind == "experts"}
    assert {t.tensor: tuple(t.weight.shape) for t in experts.values()} == {
        "gate_up_proj": (4, 128, 32), "down_proj": (4, 32, 64)
    }
    assert not any(t.transposed for t in experts.values())
    assert reasons(model)["model.layers.0.mlp.gate.weight"] == "a router"


def test_experts_may_be_transposed():
    model = gpt_oss()
    experts = [t for t in pruned(model).values() if t.kind == "experts"]
    assert len(experts) == 2 and all(t.transposed for t in experts)
    assert not any("bias" in name for name in pruned(model))


def test_attention_of_pytorch():
    found = pruned(torch.nn.TransformerEncoderLayer(32, 2, 64))
    assert set(found) == {"self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight"}
    assert set(pruned(torch.nn.MultiheadAttention(32, 2, kdim=16, vdim=16))) == {
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"
    }


def test_a_vision_model_keeps_its_patches_and_classifier():
    model = vit()
    assert not any("embeddings" in name or "classifier" in name for name in pruned(model)) and len(pruned(model)) == 6
    assert reasons(model)["classifier.weight"] == "an output head"
    assert reasons(model)["vit.embeddings.patch_embeddings.projection.weight"] == "a convolution's"


def test_a_gate_is_a_router_only_beside_experts():
    layer = torch.nn.ModuleDict({"gate": torch.nn.Linear(32, 32), "up": torch.nn.Linear(32, 32)})
    assert set(pruned(layer)) == {"gate.weight", "up.weight"}
    layer["experts"] = torch.nn.ModuleList([torch.nn.Linear(32, 32)])
    assert reasons(layer)["gate.weight"] == "a router" and "experts.0.weight" in pruned(layer)
    layer["gate"] = torch.nn.ModuleDict({"wg": torch.nn.Linear(32, 32)})
    layer["gating"] = torch.nn.Linear(32, 32)
    assert reasons(layer)["gate.wg.weight"] == reasons(layer)["gating.weight"] == "a router"


def test_heads_deep_inside_are_found_by_their_names():
    def linear():
        return torch.nn.Linear(32, 32)

    language = torch.nn.ModuleDict({"output": linear()})
    head = torch.nn.ModuleList([torch.nn.ModuleDict({"shared_head": torch.nn.ModuleDict({"head": linear()})})])
    layers = torch.nn.ModuleList([torch.nn.ModuleDict({"output": linear()})])
    model = torch.nn.ModuleDict({"language": language, "layers": layers, "predictors": head})
    assert set(pruned(model)) == {"layers.0.output.weight"}


def test_heads_of_attention_are_no_output_heads():
    block = torch.nn.ModuleDict({"heads": torch.nn.Linear(32, 32)})
    model = torch.nn.ModuleDict({"blocks": torch.nn.ModuleList([block])})
    model["head"] = torch.nn.Linear(32, 32)
    assert set(pruned(model)) == {"blocks.0.heads.weight"}


def test_what_no_layer_is_known_to_multiply_by():
    model = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(32, 32), "bilinear": torch.nn.Bilinear(16, 16, 16)})
    model["int"] = torch.nn.Linear(16, 16).requires_grad_(False)
    model["int"].weight.data = model["int"].weight.data.to(torch.int8)
    said = reasons(model)
    assert said["lstm.weight_ih_l0"] == "a recurrent layer's" and "Bilinear" in said["bilinear.weight"]
    assert said["int.weight"] == "of type int8" and not pruned(model)


def test_shapes_that_no_tile_divides():
    assert misfit((4, 24, 32), 16) == "24 x 32 is not made of whole 16 x 16 tiles"
    assert misfit((32, 32), 16) == misfit((24, 32), 16, "partial") == ""


def test_lazy_layers_have_no_shape_yet():
    model = torch.nn.Sequential(torch.nn.LazyLinear(64), torch.nn.Linear(64, 32))
    assert reasons(model)["0.weight"].startswith("of no shape yet")
    assert list(pruned(model)) == ["1.weight"]


def test_weights_that_a_hook_makes_anew_are_said_to_be():
    model = torch.nn.Sequential(*(torch.nn.Linear(32, 32) for _ in range(3)))
    torch.nn.utils.prune.l1_unstructured(model[0], "weight", 0.5)
    torch.nn.utils.spectral_norm(model[1])
    assert list(pruned(model)) == ["2.weight"]
    assert "torch.nn.utils.prune" in reasons(model)["0.weight_orig"]
    assert "torch.nn.utils.spectral_norm" in reasons(model)["1.weight_orig"]
