"""A small decoder trained dense and with 2:4 transposable weights: losses and step times, for bench.py."""

import functools
import statistics
import sysconfig
import time
from pathlib import Path

import torch

from tsenor_torch import Linear24, MaskRefresh, sparsify24


class Block(torch.nn.Module):
    """A decoder block: attention and a gated MLP."""

    def __init__(self, hidden, heads):
        super().__init__()
        linear, ffn = lambda a, b: torch.nn.Linear(a, b, bias=False), 4 * hidden
        self.heads, self.norms = heads, torch.nn.ModuleList(torch.nn.RMSNorm(hidden) for _ in range(2))
        self.qkv, self.out = linear(hidden, 3 * hidden), linear(hidden, hidden)
        self.gate, self.up, self.down = linear(hidden, ffn), linear(hidden, ffn), linear(ffn, hidden)

    def forward(self, x):
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attention = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attention.transpose(1, 2).flatten(2))
        h = self.norms[1](x)
        return x + self.down(torch.nn.functional.silu(self.gate(h)) * self.up(h))


class Decoder(torch.nn.Module):
    def __init__(self, vocabulary, hidden, heads, layers):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, hidden)
        self.blocks = torch.nn.Sequential(*(Block(hidden, heads) for _ in range(layers)))
        self.norm, self.head = torch.nn.RMSNorm(hidden), torch.nn.Linear(hidden, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.embedding(tokens))))


def make_sparse(model, kind, tokens, captured):
    """'sparse': all linear layers of the blocks; 'faster': those whose steps are faster so."""
    if kind == "faster":
        sparsify24(model.blocks, tokens, captured=captured)
        return
    for name, module in list(model.blocks.named_modules()):
        if isinstance(module, torch.nn.Linear):
            model.blocks.set_submodule(name, Linear24.of(module, captured=captured))


@functools.cache
def text():
    """Bytes to learn: the sources of Python's standard library, which are wherever Python is."""
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")) + sorted(Path(sysconfig.get_path("stdlib")).glob("*/*.py"))
    return torch.frombuffer(bytearray(b"".join(p.read_bytes() for p in sources if "packages" not in p.parts[-2])),
                            dtype=torch.uint8).cuda()


def batches_of(batch, length, seed):
    """Pieces of the text at random places."""
    generator = torch.Generator("cuda").manual_seed(seed)
    while True:
        starts = torch.randint(len(text()) - length, (batch, 1), device="cuda", generator=generator)
        yield text()[starts + torch.arange(length, device="cuda")].long()


class Training:
    """A training run: 'dense', or as make_sparse has it from step `switch_at` on; its losses and step times. `captured`: steps are
    replayed from a CUDA graph."""

    def __init__(self, size, kind, every=1, switch_at=0, captured=False):
        torch.manual_seed(0)
        self.size, self.kind, self.every, self.switch_at, self.captured = size, kind, every, switch_at, captured
        self.graph, self.stream = None, torch.cuda.Stream() if captured else None
        self.model = Decoder(size["vocabulary"], size["hidden"], size["heads"], size["layers"]).cuda()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-4, weight_decay=0.01, fused=True, capturable=captured)
        self.batches, self.losses, self.times = batches_of(size["batch"], size["length"] + 1, 1), [], []

    def step(self):
        if self.kind != "dense" and len(self.losses) == self.switch_at:
            # Parameters stay the same tensors, so the optimizer goes on.
            make_sparse(self.model, self.kind, self.size["batch"] * self.size["length"], self.captured)
            MaskRefresh(self.model, self.optimizer, every=self.every)
        tokens = next(self.batches)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        loss = self.replay(tokens) if self.captured else self.learn(tokens)
        torch.cuda.synchronize()
        self.times.append(1e3 * (time.perf_counter() - begin))
        self.losses.append(float(loss.detach()))

    def learn(self, tokens):
        with torch.autocast("cuda", torch.bfloat16):
            logits = self.model(tokens[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def replay(self, tokens):
        """The same from a graph, once some steps have been taken without."""
        if len(self.losses) < 3:
            with torch.cuda.stream(self.stream):
                return self.learn(tokens)
        if self.graph is None:
            self.graph, self.tokens = torch.cuda.CUDAGraph(), tokens.clone()
            with torch.cuda.graph(self.graph):
                self.loss = self.learn(self.tokens)
        self.tokens.copy_(tokens)
        self.graph.replay()
        return self.loss

    def record(self):
        sparse_layers = sum(isinstance(module, Linear24) for module in self.model.modules())
        return {"kind": self.kind, "every": self.every, "switch_at": self.switch_at, "captured": self.captured,
                "steps": len(self.losses), "sparse_layers": sparse_layers,
                "losses": means(self.losses),
                "median_step_ms": statistics.median(self.times[self.switch_at + 5 :])}


def means(losses):
    """Of each 50 steps."""
    return [round(statistics.mean(losses[k : k + 50]), 6) for k in range(0, len(losses), 50)]


def train(size, steps, *runs):
    """Records of the runs, each given as Training's arguments. They take turns, step by step, so that the GPU's clock and whatever
    else the machine does is the same for all."""
    trainings = [Training(size, *run) for run in runs]
    for _ in range(steps):
        for training in trainings:
            training.step()
    return [training.record() for training in trainings]


SMALL = {"vocabulary": 256, "hidden": 1024, "heads": 16, "layers": 4, "batch": 16, "length": 256}
LARGE = {"vocabulary": 256, "hidden": 4096, "heads": 32, "layers": 2, "batch": 8, "length": 2048}


def training_runs(quick):
    """Runs of the small decoder for the losses, and of the large one for the step times."""
    steps = 60 if quick else 1000
    runs = [("dense",), ("sparse", 1), ("sparse", 16), ("sparse", 1, steps // 3), ("faster", 1)]
    runs += [(kind, 1, 0, True) for kind in ("dense", "sparse", "faster")]
    return {"text": "the sources of Python's standard library",
            "size": SMALL, "runs": train(SMALL, steps, *runs),
            "large_size": LARGE, "large_runs": train(LARGE, 30, ("dense",), ("sparse", 1), ("sparse", 16), ("sparse", 100))}
