"""prune_model on small models, and the pruners' operators against what they are by definition."""

import copy
import math
import os
import signal
import subprocess
import sys

import pytest
import torch

import tsenor_torch
from oracle import counts_of
from tsenor_torch import prune_model

transformers = pytest.importorskip("transformers")
ops = torch.ops.tsenor
METHODS = ("magnitude", "wanda", "sparsegpt", "alps")


def llama(**more):
    shape = dict(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**shape, **more}))


def gpt2():
    ids = dict(bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=128, n_embd=64, n_layer=2, n_head=4, n_positions=128, **ids)
    )


def mixtral(**more):
    shape = dict(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return transformers.MixtralForCausalLM(transformers.MixtralConfig(**shape, num_local_experts=4, **more))


MODELS = {"llama": llama, "gpt2": gpt2, "mixtral": mixtral}


def calibration(count=2, sequences=4, tokens=64):
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(128, (sequences, tokens), generator=generator) for _ in range(count)]


def prune(model, batches=None, **arguments):
    arguments = {"method": "wanda", "n": 4, "m": 8, "progress": False, **arguments}
    return prune_model(model, calibration() if batches is None else batches, **arguments)


def mean_error(report):
    return math.exp(sum(math.log(x.error) for x in report.pruned) / len(report.pruned))


def matrices(model, report):
    """{name: [out, in]} of what the report says is pruned."""
    parameters = dict(model.named_parameters())
    for row in report.pruned:
        name, _, expert = row.name.rstrip("]").partition("[")
        weight = parameters[name].detach()
        weight = weight[int(expert)] if expert else weight
        yield row, weight if tuple(weight.shape) == row.shape and "c_" not in name else weight.T


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("structure", ["transposable", "row-wise"])
def test_errors_fall_from_magnitude_to_alps(make, structure, device):
    model, errors = MODELS[make]().to(device), {}
    for method in METHODS:
        pruned = copy.deepcopy(model)
        report = prune(pruned, method=method, structure=structure)
        assert not report.fallen_back and {x.method for x in report.pruned} == {method}
        errors[method] = mean_error(report)
        for row, weight in matrices(pruned, report):
            counts = counts_of(weight != 0, 8)
            assert (counts[:, 0] <= 4).all(), row.name
            assert structure == "row-wise" or (counts[:, 1] <= 4).all(), row.name
            assert 0.5 < row.kept < 1 and row.seconds > 0 and row.tokens > 0
    assert errors["alps"] < errors["sparsegpt"] < errors["wanda"] < errors["magnitude"], errors


@pytest.mark.parametrize("make", MODELS)
def test_what_is_pruned_and_what_stays_dense(make):
    model = MODELS[make]()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    report = prune(model)
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {x.name.partition("[")[0] for x in report.pruned}
    assert not any(
        "embed" in name or "wte" in name or "head" in name or name.endswith("gate.weight") for name in changed
    )
    assert [x.name for x in report.dense] and all(x.reason for x in report.dense)
    assert len([name for name in changed if ".0." in name]) == len([name for name in changed if ".1." in name])


def test_the_error_is_that_of_the_outputs():
    """Against a plain hook on the dense model, for the first block, which sees dense inputs."""
    model, batches, seen = llama(), calibration(), {}
    layer = model.model.layers[0].self_attn.q_proj
    layer.register_forward_pre_hook(lambda module, args: seen.setdefault(len(seen), args[0].detach()))
    with torch.no_grad():
        for batch in batches:
            model(batch)
        x, dense = torch.cat([v.reshape(-1, 64) for v in list(seen.values())[:2]]), layer.weight.detach().clone()
        row = next(r for r in prune(model, batches) if "layers.0" in r.name and "q_proj" in r.name)
        expected = (x @ (layer.weight - dense).T).square().sum() / (x @ dense.T).square().sum()
    assert row.error == pytest.approx(float(expected), rel=1e-4)
    assert row.tokens == len(x)


def test_blocks_are_calibrated_on_pruned_blocks():
    """The second block of a model whose first is pruned already: the same as pruning both."""
    model, batches = llama(), calibration()
    first = copy.deepcopy(model)
    prune(model, batches)
    prune(first, batches, patterns={"*.layers.1.*": None})
    prune(first, batches, patterns={"*.layers.0.*": None})
    for (name, a), b in zip(model.named_parameters(), first.parameters()):
        assert torch.equal(a, b), name


def test_models_in_bfloat16_stay_in_it():
    model = llama().bfloat16()
    report = prune(model, method="alps")
    assert all(p.dtype == torch.bfloat16 for p in model.parameters()) and mean_error(report) < 0.2


def test_patterns_and_exclusions_by_name():
    model = llama()
    report = prune(model, patterns={"*.mlp.*": "2:4"}, exclude="*.layers.1.mlp.down_proj")
    patterns = {x.name: x.pattern for x in report}
    assert patterns["model.layers.0.mlp.down_proj.weight"] == "2:4"
    assert patterns["model.layers.1.mlp.down_proj.weight"] is None
    assert patterns["model.layers.1.self_attn.q_proj.weight"] == "4:8"


def test_problems_are_named_together_and_nothing_changes():
    model = llama()
    before = copy.deepcopy(model.state_dict())
    first = "model.layers.0.self_attn"
    with pytest.raises(ValueError, match=r"(?s)q_proj.*o_proj.*'\*nowhere\*'"):
        prune(model, patterns={f"{first}.q_proj": (3, 7), f"{first}.o_proj": (3, 7), "*nowhere*": (2, 4)})
    with pytest.raises(ValueError, match="method must be.*structure must be"):
        prune(model, method="best", structure="any")
    wrong = {"n": 0, "mask_method": "best", "constraint": "most", "edge": "cut", "damping": None, "iterations": 1.5}
    with pytest.raises(ValueError) as error:
        prune(model, batches=iter(lambda: pytest.fail("the data was read"), None), blocks=model.model, **wrong)
    assert all(word in str(error.value) for word in (*wrong, "0:", "write [blocks]") if word != "n")
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))


@pytest.mark.parametrize(
    "batches, message",
    [
        ([], "no calibration batches"),
        ([torch.zeros(1, 0, dtype=torch.long)], "batch 0 is empty"),
        ([torch.zeros(1, 1, dtype=torch.long)], "1 tokens of calibration data are too few"),
        ([{"inputs_embeds": torch.full((4, 64, 64), torch.nan)}], "calibration batch 0: 16384 of 16384 values are NaN"),
        ([{"input_ids": torch.ones(2, 64, dtype=torch.long), "attention_mask": torch.ones(2, 64).triu()}], "padding"),
        (["text"], "must be a tensor"),
        ([torch.ones(64, dtype=torch.long)], r"token ids must be \[sequences, tokens\]"),
        (torch.ones(2, 64, dtype=torch.long), r"write \[batches\]"),
    ],
)
def test_bad_calibration_data_gets_a_clear_answer(batches, message):
    model = llama()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises((ValueError, TypeError), match=message):
        prune(model, batches)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    assert model.training


def test_experts_without_tokens_fall_back_to_magnitude_and_are_named():
    model = mixtral(num_experts_per_tok=1)
    with torch.no_grad():
        for block in model.model.layers:
            block.mlp.gate.weight[[0, 3]] = 0  # one of the others always has a logit above 0
            block.mlp.gate.weight[2] = -block.mlp.gate.weight[1]
    report = prune(model, method="sparsegpt")
    starved = {x.name for x in report.fallen_back}
    assert all(x.method == "magnitude" and "saw 0 tokens" in x.reason for x in report.fallen_back)
    assert starved == {
        f"model.layers.{k}.mlp.experts.{w}[{e}]" for k in (0, 1) for w in ("gate_up_proj", "down_proj") for e in (0, 3)
    }
    assert {x.method for x in report.pruned if x.name not in starved} == {"sparsegpt"}


@pytest.mark.parametrize("method", ["wanda", "sparsegpt", "alps"])
def test_dead_inputs_are_counted_and_their_weights_ranked_by_magnitude(method):
    model = llama()
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[:16] = 0  # down_proj's first inputs are 0
    dense = model.model.layers[0].mlp.down_proj.weight.detach().clone()
    row = next(r for r in prune(model, method=method) if r.name == "model.layers.0.mlp.down_proj.weight")
    weight = model.model.layers[0].mlp.down_proj.weight.detach()
    assert row.dead_inputs >= 16
    importance = dense[:, :16].abs() if method == "wanda" else dense[:, :16].square()
    best = ops.find_mask(importance.contiguous(), 4, 8)[0]
    kept, most = (importance * (weight[:, :16] != 0)).sum(), (importance * best).sum()
    assert kept == pytest.approx(float(most), rel=1e-5)


@pytest.mark.parametrize("method", ["wanda", "alps"])
def test_resuming_gives_the_same_bits(method, tmp_path):
    model = llama()
    whole, again = copy.deepcopy(model), copy.deepcopy(model)
    expected = prune(whole, method=method, resume=tmp_path)
    (tmp_path / "block-0001.json").unlink()
    found = prune(again, method=method, resume=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters()))
    assert [x._replace(seconds=0) for x in expected] == [x._replace(seconds=0) for x in found]
    with pytest.raises(ValueError, match="other weights"):
        prune(again, method=method, resume=tmp_path)
    with pytest.raises(ValueError, match="other method, batches"):
        prune(copy.deepcopy(model), calibration(3), method="magnitude", resume=tmp_path)


def test_a_killed_run_goes_on(tmp_path):
    """Killed by a signal while it works on the second block."""
    program = f"""
import sys, torch
sys.path[:0] = {[os.path.dirname(__file__), *sys.path]!r}
import test_pruning, tsenor_torch.pruning as pruning
torch.manual_seed(1)
torch.set_num_threads(1)
model, real, calls = test_pruning.llama(), pruning._prune, []
def prune(matrix, *rest):
    if sys.argv[1] == "die" and ".layers.1.mlp" in matrix.name:
        import os, signal; os.kill(os.getpid(), signal.SIGKILL)
    calls.append(matrix.name)
    return real(matrix, *rest)
pruning._prune = prune
test_pruning.prune(model, method="sparsegpt", resume=sys.argv[2])
print(len(calls), [float(p.double().sum()) for p in model.parameters()])
"""
    run = lambda *words: subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True
    )  # noqa: E731
    assert run("die", tmp_path / "killed").returncode == -signal.SIGKILL
    resumed, whole = run("live", tmp_path / "killed"), run("live", tmp_path / "whole")
    assert resumed.returncode == whole.returncode == 0, resumed.stderr + whole.stderr
    (some, *sums), (all_, *expected) = resumed.stdout.split(maxsplit=1), whole.stdout.split(maxsplit=1)
    assert (int(some), int(all_)) == (7, 14) and sums == expected


def test_progress_and_report_print(capsys):
    report = prune(llama(), progress=True)
    assert "wanda 4:8" in capsys.readouterr().err
    assert (
        "model.layers.0.mlp.up_proj.weight" in str(report)
        and "14 pruned" in str(report)
        and "an output head" in str(report)
    )


def test_blocks_of_plain_modules():
    model = torch.nn.Sequential(*(torch.nn.Linear(32, 32) for _ in range(3)))
    report = tsenor_torch.prune_model(model, [torch.randn(64, 32)], method="alps", n=4, m=8, progress=False)
    assert len(report.pruned) == 3 and all(0 < x.error < 0.5 for x in report)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_the_default_type_does_not_matter(method, default):
    model, batches = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Linear(32, 32)), [torch.randn(64, 32)]
    expected = copy.deepcopy(model)
    arguments = dict(method=method, n=4, m=8, progress=False)
    tsenor_torch.prune_model(expected, batches, **arguments)
    torch.set_default_dtype(default)
    try:
        tsenor_torch.prune_model(model, batches, **arguments)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(model, expected))


def test_every_module_gets_its_mode_back():
    model = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.BatchNorm1d(32), torch.nn.Linear(32, 32))
    model.train()
    model[1].eval()  # frozen, as in fine-tuning
    tsenor_torch.prune_model(model, [torch.randn(64, 32)], method="wanda", n=4, m=8, progress=False)
    assert [module.training for module in model.modules()] == [True, True, False, True]


class Blocks(torch.nn.Module):
    def __init__(self, call):
        super().__init__()
        self.blocks, self.call = torch.nn.ModuleList(torch.nn.Linear(32, 32) for _ in range(2)), call

    def forward(self, x, label=None):
        return self.call(x, *self.blocks)


def test_blocks_may_be_called_by_any_keyword_and_batches_hold_more_than_tensors():
    batches = [{"x": torch.randn(64, 32), "label": None}, {"x": torch.randn(64, 32), "label": "text"}]
    reports = []
    for call in (lambda x, a, b: b(a(x)), lambda x, a, b: b(input=a(input=x))):
        torch.manual_seed(3)
        model = Blocks(call)
        report = tsenor_torch.prune_model(model, batches, method="wanda", n=4, m=8, progress=False)
        reports.append([(x.name, x.error, x.tokens) for x in report])
    assert reports[0] == reports[1] and reports[0][0][2] == 128


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda x, a, b: a(x) + b(x), "block 1 is not given what the block before it returned"),
        (lambda x, a, b: b(torch.tanh(a(x))), "block 1 is not given what the block before it returned"),
        (lambda x, a, b: b(a(a(x))), "did not run them one after the other"),
        (lambda x, a, b: b(x), "did not run them one after the other"),
    ],
)
def test_blocks_that_are_no_chain_are_refused(call, says):
    """Else a block would be calibrated on inputs that it never gets."""
    model = Blocks(call)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=says):
        tsenor_torch.prune_model(model, [torch.randn(64, 32)], method="wanda", n=4, m=8, progress=False)
    assert all(torch.equal(before[k], it) for k, it in model.state_dict().items()) and model.training
    assert not any(it._forward_hooks or it._forward_pre_hooks for it in model.modules())


def test_a_block_that_returns_no_tensor_is_named():
    class Named(torch.nn.Linear):
        def forward(self, x):
            return {"hidden": super().forward(x)}

    model = torch.nn.Sequential(Named(32, 32), torch.nn.Linear(32, 32))
    with pytest.raises(TypeError, match="Named, returns a dict"):
        tsenor_torch.prune_model(model, [torch.randn(64, 32)], method="wanda", n=4, m=8, progress=False)
