"""Which weights of a model are pruned by default, and why the others stay dense: one rule for masks and for pruners.

By default the matrices are pruned that a layer multiplies its inputs by: ``weight`` of linear layers and of
transformers' ``Conv1D``, the input projections of ``MultiheadAttention``, and the batches of matrices of expert layers.
By default these stay dense:

- embeddings: ``Embedding`` layers, and names with ``embed``, ``wte`` or ``wpe`` in a part;
- output heads: what the model itself calls its output embeddings, and names with a part ``head``, ``heads``,
  ``*_head``, ``classifier``, ``*_classifier``, ``score``, ``qa_outputs`` or ``embed_out`` before any number (a layer
  ``blocks.0.attn.heads.1`` is none), a part ``shared_head``, or a last part ``output`` of a name without numbers;
- routers: names with ``router`` in a part, and a part ``gate``, ``gating`` or ``*_gate`` beside experts, with all that
  lies in it (``gate_proj`` is none);
- adapters: names with a part that begins with ``lora_``;
- parameters of layers that are not known to be matrix products.

They are pruned if you name them. These cannot be pruned in any case: tied weights, vectors and biases, convolution
kernels, weights of recurrent layers, types other than floating point of 16 bits or more, and weights whose sides are no
multiple of M.
"""

import itertools
import re
from typing import NamedTuple

import torch

from .state import Masked

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
HEADS = re.compile(r"heads?|\w+_heads?|classifier|\w+_classifier|score|qa_outputs|embed_out")
EMBEDDINGS = re.compile(r"\w*embed\w*|wte|wpe")
TRANSPOSED_EXPERTS = ("Llama4TextExperts",)  # [experts, in, out], without the attribute that says so


class Target(NamedTuple):
    """A parameter that was considered."""

    name: str  # qualified, as in named_parameters(): 'model.layers.0.mlp.up_proj.weight'
    module: torch.nn.Module
    tensor: str  # the parameter's name in its module
    kind: str  # 'linear', 'attention', 'experts', or 'other'
    transposed: bool  # its matrices are [in, out], not [out, in]
    obstacle: str = ""  # why it cannot be pruned
    custom: str = ""  # why it is not pruned unless somebody names it

    @property
    def weight(self):
        """What the layer multiplies by: after parametrizations, if it has some."""
        return getattr(self.module, self.tensor)

    @property
    def reason(self):
        """Why it stays dense by default; empty where it is pruned."""
        return self.obstacle or self.custom

    @property
    def module_name(self):
        return self.name.rpartition(".")[0]


def targets(model):
    """Yields a :class:`Target` for every parameter of ``model``, shared ones once, in the order of ``named_modules()``.

    Parametrized tensors have the names that they had before. The function reads no weights, so it also takes models on
    'meta'.
    """
    modules = dict(model.named_modules())
    heads, owners = _output_embeddings(model), _owners(modules)
    for name, module in modules.items():
        for tensor in _tensors(module):
            full = f"{name}.{tensor}" if name else tensor
            kind, transposed = _kind(name, module, tensor)
            custom = _custom(name, module, kind, modules, heads)
            yield Target(full, module, tensor, kind, transposed, _obstacle(full, module, tensor, owners), custom)


def misfit(shape, m, edge="reject"):
    """Why tiles of m x m do not fit a weight of ``shape``; empty if they do."""
    rows, cols = shape[-2:]
    if edge == "partial" or (rows % m == 0 and cols % m == 0):
        return ""
    return f"{rows} x {cols} is not made of whole {m} x {m} tiles"


def _tensors(module):
    """Names of the parameters that the module itself has; a list of parametrizations has none of its own."""
    if isinstance(module, torch.nn.utils.parametrize.ParametrizationList):
        return []
    parametrized = list(module.parametrizations) if torch.nn.utils.parametrize.is_parametrized(module) else []
    return [*(k for k, p in module._parameters.items() if p is not None), *parametrized]


def _stored(module, tensor):
    """The parameter behind a tensor, which identifies it; of several the first."""
    if not torch.nn.utils.parametrize.is_parametrized(module, tensor):
        return module._parameters[tensor]
    return next(module.parametrizations[tensor].parameters(recurse=False), None)


def _owners(modules):
    """A dictionary from a parameter's id to its names. A module with several names counts once."""
    owners = {}
    for name, module in modules.items():
        for tensor in _tensors(module):
            owners.setdefault(id(_stored(module, tensor)), []).append(f"{name}.{tensor}" if name else tensor)
    return owners


def _output_embeddings(model):
    """The output heads that transformers' models name themselves, also those deep inside."""
    found = set()
    for module in model.modules():
        try:
            found.add(id(module.get_output_embeddings()))
        except (AttributeError, NotImplementedError):
            pass  # it has none
    return found


def _kind(name, module, tensor):
    if isinstance(module, torch.nn.Linear) and tensor == "weight":
        return "linear", False
    if any(c.__name__ == "Conv1D" and hasattr(module, "nf") for c in type(module).__mro__) and tensor == "weight":
        return "linear", True
    if isinstance(module, torch.nn.MultiheadAttention) and tensor.endswith("_proj_weight"):
        return "attention", False
    classes = [c.__name__ for c in type(module).__mro__]
    if "expert" in f"{name} {classes}".lower() and _dimensions(module, tensor) == 3:
        return "experts", getattr(module, "is_transposed", False) or any(c in TRANSPOSED_EXPERTS for c in classes)
    return "other", False


def _dimensions(module, tensor):
    return _stored(module, tensor).dim()


def _custom(name, module, kind, modules, heads):
    parts = name.split(".")
    if isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)) or any(map(EMBEDDINGS.fullmatch, parts)):
        return "an embedding"
    outside = list(itertools.takewhile(lambda part: not part.isdigit(), parts))  # of the numbered layers
    unnumbered_output = outside == parts and parts[-1] == "output"
    if id(module) in heads or any(map(HEADS.fullmatch, outside)) or unnumbered_output or "shared_head" in parts:
        return "an output head"
    if _is_gate(parts, modules) or any("router" in part for part in parts):
        return "a router"
    if any(part.startswith("lora_") for part in parts):
        return "an adapter"
    return _other(module) if kind == "other" else ""


def _other(module):
    """Why a parameter that no rule knows stays dense."""
    for hook in module._forward_pre_hooks.values():
        origin = type(hook).__module__
        if origin.startswith("torch.nn.utils."):
            return f"{origin} computes the weight again in each forward pass: remove that first"
    return f"a parameter of {type(module).__name__}, not known to be a matrix product"


def _is_gate(parts, modules):
    """Whether a layer is a gate beside experts, or lies in one."""
    gates = (k for k, part in enumerate(parts) if re.fullmatch(r"gate|gating|\w+_gate", part))
    return any(_has_experts(".".join(parts[:k]), modules) for k in gates)


def _has_experts(parent, modules):
    prefix = f"{parent}." if parent else ""
    return any(name.startswith(prefix) and "expert" in name[len(prefix) :].split(".")[0] for name in modules)


def _obstacle(full, module, tensor, owners):
    """Why the parameter cannot be pruned, whatever the pattern."""
    stored = _stored(module, tensor)
    ties = [name for name in owners[id(stored)] if name != full]
    if isinstance(module, Masked):
        return f"sparse in a {type(module).__name__}"
    if isinstance(module, torch.nn.modules.conv._ConvNd):
        return "a convolution's"
    if isinstance(module, torch.nn.RNNBase):
        return "a recurrent layer's"
    if stored is None or re.search(r"bias$", tensor):
        return "no matrix"
    if torch.nn.parameter.is_lazy(stored):
        return "of no shape yet: run a batch through the model first"
    if stored.dim() not in (2, 3):
        return "no matrix"
    if ties:
        return f"tied to {', '.join(ties)}"
    if stored.dtype not in TYPES:
        return f"of type {str(stored.dtype).removeprefix('torch.')}"
    return ""
