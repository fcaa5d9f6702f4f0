"""A decoder of bytes, and how it is trained: dense or with 2:4 products, by a recipe, by one process or several.
training.py and bench.py use it."""

import argparse
import functools
import hashlib
import math
import os
import sys
from typing import NamedTuple

import torch
import torch.distributed as dist

from tsenor_torch import Linear24, MaskRefresh, MvueLinear, dense_phases

SIZES = {
    "tiny": {"hidden": 64, "heads": 2, "layers": 1, "batch": 4, "length": 64, "rate": 3e-3},
    "small": {"hidden": 768, "heads": 12, "layers": 6, "batch": 32, "length": 512, "rate": 6e-4},
    "decoder": {"hidden": 2048, "heads": 16, "layers": 4, "batch": 32, "length": 512, "rate": 3e-4},
    "large": {"hidden": 4096, "heads": 32, "layers": 2, "batch": 32, "length": 512, "rate": 2e-4},
}
KINDS = {"dense": (False, False), "masks": (True, False), "mvue": (False, True), "both": (True, True)}


class Recipe(NamedTuple):
    """The options of MaskRefresh and Linear24."""

    every: int = 1
    decay: float = 0.0
    dense_start: float = 0.0
    dense_end: float = 1 / 6
    pruning: str = "hard"
    dense_weights: float = 0.0  # share of the steps before the dense end
    time: float = 1.0  # of --seconds or --steps

    @classmethod
    def of(cls, text):
        """'both:decay=1e-4,dense_end=0' -> the kind, or None where it names none, and the Recipe."""
        kind, _, rest = text.rpartition(":")
        given = dict(item.split("=", 1) for item in rest.split(",") if item)
        if kind and kind not in KINDS:
            raise argparse.ArgumentTypeError(f"a recipe is for one of {', '.join(KINDS)}, not {kind}")
        if unknown := given.keys() - set(cls._fields):
            raise argparse.ArgumentTypeError(f"a recipe has {', '.join(cls._fields)}, not {', '.join(sorted(unknown))}")
        recipe = cls(**{name: type(cls._field_defaults[name])(value) for name, value in given.items()})
        if recipe.dense_start + recipe.dense_weights + recipe.dense_end > 1:
            raise argparse.ArgumentTypeError(f"{text}: dense shares are more than all of the steps")
        return kind or None, recipe


class AddNorm(torch.nn.RMSNorm):
    """The sum of two tensors, in bfloat16, and that normed."""

    def forward(self, x, y):
        x = (x + y).bfloat16()
        return x, super().forward(x.float()).bfloat16()


class Gated(torch.nn.Module):
    def forward(self, gate, up):
        return torch.nn.functional.silu(gate) * up


class Block(torch.nn.Module):
    """A decoder block: attention and a gated MLP. It takes and returns two tensors whose sum counts."""

    def __init__(self, hidden, heads):
        super().__init__()
        linear, ffn = lambda a, b: torch.nn.Linear(a, b, bias=False), 4 * hidden
        self.heads, self.norms, self.gated = heads, torch.nn.ModuleList(AddNorm(hidden) for _ in range(2)), Gated()
        self.qkv, self.out = linear(hidden, 3 * hidden), linear(hidden, hidden)
        self.gate, self.up, self.down = linear(hidden, ffn), linear(hidden, ffn), linear(ffn, hidden)

    def forward(self, x, y):
        x, h = self.norms[0](x, y)
        q, k, v = (it.transpose(1, 2) for it in self.qkv(h).unflatten(-1, (3, self.heads, -1)).unbind(2))
        attention = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x, h = self.norms[1](x, self.out(attention.transpose(1, 2).flatten(2)))
        return x, self.down(self.gated(self.gate(h), self.up(h)))


class Decoder(torch.nn.Module):
    """A decoder of bytes. Products are in bfloat16, by autocast, and so is what is between them."""

    def __init__(self, size):
        super().__init__()
        hidden = size["hidden"]
        self.embedding, self.position = torch.nn.Embedding(256, hidden), torch.nn.Embedding(size["length"], hidden)
        self.blocks = torch.nn.ModuleList(Block(hidden, size["heads"]) for _ in range(size["layers"]))
        self.norm, self.head = AddNorm(hidden), torch.nn.Linear(hidden, 256, bias=False)

    def forward(self, tokens):
        x, y = self.embedding(tokens), self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x, y = block(x, y)
        return self.head(self.norm(x, y)[1])

    def compile_between(self):
        """By torch.compile what is between linear layers and attention, which is the same for all kinds of layers."""
        for module in self.modules():
            if isinstance(module, (AddNorm, Gated)):
                module.compile(dynamic=False)


def layer_of(kind, recipe, **arguments):
    """The function that turns a linear layer into one of this kind."""
    masks, mvue = KINDS[kind]
    if not masks:
        return functools.partial(MvueLinear.of, **arguments)
    arguments |= {"pruning": recipe.pruning} | ({"weight_gradient": "mvue"} if mvue else {})
    return functools.partial(Linear24.of, **arguments)


class Ranks:
    """The processes that train together, one alone without torchrun."""

    def __init__(self, fsdp=False):
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        cuda, self.fsdp = torch.cuda.is_available(), fsdp
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(self.device)
        if self.count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if cuda else "gloo")
        if fsdp and self.count == 1:
            raise SystemExit("training.py: --fsdp is for torchrun")

    @property
    def part(self):
        """This rank's part of a batch."""
        return slice(self.rank, None, self.count)

    def wrapped(self, model):
        if self.count == 1:
            return model
        if not self.fsdp:
            return torch.nn.parallel.DistributedDataParallel(model)
        from torch.distributed.fsdp import fully_shard

        for module in (*model.blocks, model):
            fully_shard(module)
        return model

    def mean(self, value):
        if self.count > 1:
            dist.all_reduce(value)
        return float(value) / self.count

    def agreed(self, value):
        """The value of rank 0."""
        values = [value]
        if self.count > 1:
            dist.broadcast_object_list(values)
        return values[0]

    def same(self, what, value):
        """The value that all ranks have; RuntimeError if they differ."""
        values = [None] * self.count
        dist.all_gather_object(values, value)
        if len(set(values)) > 1:
            raise RuntimeError(f"training.py: {what} differ between ranks: {values}")
        return value

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def end(self):
        if self.count > 1:
            dist.barrier()
            dist.destroy_process_group()
            sys.stdout.flush()
            os._exit(0)  # a thread of gloo may still drop a tensor, which aborts while Python takes itself down


class Training:
    """A model, its optimizer and its masks, for a kind, a recipe and a number of steps. `compiled`: whether
    torch.compile makes what is between the linear layers, by default on a GPU."""

    warm_up = 60

    def __init__(self, text, size, kind, recipe, steps, seed=0, ranks=None, captured=False, compiled=None):
        self.text, self.size, self.kind, self.recipe, self.seed = text, size, kind, recipe, seed
        self.steps, self.done, self.ranks, self.refresh = steps, 0, ranks or Ranks(), None
        self.before = None  # the products while weights were sparse, once they have become dense
        self.dense_weights_at = steps - round((recipe.dense_weights + recipe.dense_end) * steps)
        torch.manual_seed(seed)
        with self.ranks.device:
            model = Decoder(size)
        self.compiled = self.ranks.device.type == "cuda" if compiled is None else compiled
        if self.compiled:
            model.compile_between()
        if kind != "dense":
            self.make_sparse(model.blocks, captured=captured)
        self.mvue = [it for it in model.modules() if isinstance(it, MvueLinear)]
        self.phases = dense_phases(steps, start=recipe.dense_start, end=recipe.dense_end)
        self.model = self.ranks.wrapped(model)
        torch.manual_seed(seed + 1000 * self.ranks.rank)  # estimates of gradients are each rank's own
        fused = {"fused": True, "capturable": captured} if self.ranks.device.type == "cuda" else {}
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=size["rate"], betas=(0.9, 0.95), weight_decay=0.1, **fused
        )
        if any(isinstance(module, Linear24) for module in model.modules()):
            self.refresh = MaskRefresh(
                self.model, self.optimizer, every=recipe.every, decay=recipe.decay, schedule=self.phases
            )

    def make_sparse(self, blocks, **arguments):
        """Makes all linear layers of the blocks sparse."""
        make = layer_of(self.kind, self.recipe, **arguments)
        for name, module in list(blocks.named_modules()):
            if isinstance(module, torch.nn.Linear):
                blocks.set_submodule(name, make(module))

    def make_weights_dense(self):
        """Turns 'both' into 'mvue', and 'masks' into dense layers."""
        self.before = self.products()
        for name, module in list(self.model.named_modules()):
            if isinstance(module, Linear24):
                out_features, in_features = module.weight.shape
                layer = MvueLinear(in_features, out_features, module.bias is not None, device="meta")
                layer.weight, layer.bias = module.weight, module.bias
                layer.weight_gradient = module.weight_gradient
                self.model.set_submodule(name, layer)
                self.mvue += [layer] if layer.weight_gradient == "mvue" else []
        self.refresh.remove()
        self.refresh = None

    @property
    def sparse(self):
        """Whether the next step is sparse."""
        return self.kind != "dense" and self.phases(self.done, 2, 4) == 2

    def rate(self):
        """The learning rate of the next step: it rises in the first steps, and then falls along a cosine to a tenth."""
        return min(1, (self.done + 1) / self.warm_up) * (0.55 + 0.45 * math.cos(math.pi * self.done / self.steps))

    def loss(self, tokens):
        with torch.autocast(self.ranks.device.type, torch.bfloat16):
            logits = self.model(tokens[:, :-1])
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())

    def learn(self, tokens):
        loss = self.loss(tokens)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.detach()

    def step(self):
        """Takes a step. Returns the loss of this rank's part of the batch."""
        if self.recipe.dense_weights and self.refresh and self.done >= self.dense_weights_at:
            self.make_weights_dense()
        for group in self.optimizer.param_groups:
            group["lr"] = self.size["rate"] * self.rate()
        for layer in self.mvue:
            layer.weight_gradient = "mvue" if self.sparse else "dense"
        loss = self.learn(self.text.batch(self.size, self.seed, self.done, self.ranks.part))
        self.done += 1
        return loss

    @torch.no_grad()
    def held_out(self, batches):
        """The mean held-out loss in nats a byte."""
        losses = [self.loss(tokens) for tokens in self.text.tests(self.size, batches, self.ranks.part)]
        return self.ranks.mean(torch.stack(losses).mean())

    def products(self):
        """The number of layers in which each product is sparse, while the phase is sparse."""
        if self.before:
            return self.before
        plans = [it.plan for it in self.model.modules() if getattr(it, "plan", None) is not None]
        fields = ("forward", "input_gradient", "weight_gradient")
        return {"layers": len(plans), **{name: sum(getattr(plan, name, False) for plan in plans) for name in fields}}

    def digest(self):
        """One hash of all masks."""
        found = hashlib.sha256()
        for layer in self.refresh.layers:
            found.update(layer.sparsity.mask.cpu().numpy().tobytes())
        return found.hexdigest()
