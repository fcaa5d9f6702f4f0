"""torch.func, copies, autocast, subclasses: what the operators and a sparsified model go through."""

import copy
import pickle

import pytest
import torch
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vmap

import tsenor_torch
from tsenor_torch import Linear24, find_mask, keep, sparsify

ops = torch.ops.tsenor


def model_on(device, gradient="straight_through"):
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Tanh(), torch.nn.Linear(64, 16)).to(device)
    sparsify(model, 8, 16, gradient=gradient)
    return model


def split(model):
    return dict(model.named_parameters()), dict(model.named_buffers())


def loss_of(model, x):
    parameters, buffers = split(model)

    def loss(parameters, x=x):
        return functional_call(model, (parameters, buffers), (x,)).square().mean()

    return loss, {k: v.detach() for k, v in parameters.items()}


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_func_grad_is_the_gradient(device, gradient):
    model, x = model_on(device, gradient), torch.randn(4, 32, device=device)
    model(x).square().mean().backward()
    loss, parameters = loss_of(model, x)
    for name, ours in grad(loss)(parameters).items():
        torch.testing.assert_close(ours, dict(model.named_parameters())[name].grad)


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_vmap_of_grad_gives_gradients_of_samples(device, gradient):
    model, x = model_on(device, gradient), torch.randn(4, 3, 32, device=device)
    loss, parameters = loss_of(model, x)
    together = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    for k in range(len(x)):
        for name, one in grad(loss)(parameters, x[k]).items():
            torch.testing.assert_close(together[name][k], one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_vmap_over_an_ensemble(device, gradient):
    weights, x, scores = (torch.randn(3, *s, device=device) for s in ((16, 32), (4, 32), (4, 16)))
    masks = find_mask(weights, 8, 16)

    def loss(weight, mask, x, score):
        return (torch.nn.functional.linear(x, keep(weight, mask, gradient)) * score).sum()

    together = vmap(grad(loss))(weights, masks, x, scores)
    by_one_mask = vmap(grad(loss), in_dims=(0, None, 0, 0))(weights, masks[0], x, scores)
    for k in range(3):
        dense = scores[k].t() @ x[k]
        for got, mask in ((together, masks[k]), (by_one_mask, masks[0])):
            torch.testing.assert_close(got[k], dense if gradient == "straight_through" else dense * mask)


def test_tangents_are_treated_as_gradients_are(device):
    weight, tangent = torch.randn(2, 16, 32, device=device)
    mask = torch.rand(16, 32, device=device) > 0.5
    for gradient, expected in (("straight_through", tangent), ("masked", tangent * mask)):
        value, moved = jvp(lambda w: keep(w, mask, gradient), (weight,), (tangent,))
        assert torch.equal(value, torch.where(mask, weight, 0)) and torch.equal(moved, expected)
        by_rows = vmap(lambda w, t: jvp(lambda w: keep(w, mask[0], gradient), (w,), (t,)))(weight, tangent)
        assert torch.equal(by_rows[1], tangent if gradient == "straight_through" else tangent * mask[0])
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(weight, tangent)
            assert torch.equal(torch.autograd.forward_ad.unpack_dual(keep(dual, mask, gradient)).tangent, expected)


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_keep_has_second_derivatives(device, gradient):
    x, mask = torch.randn(6, device=device), torch.tensor([True, False] * 3, device=device)
    learns = torch.ones(6, device=device) if gradient == "straight_through" else mask.float()
    assert torch.equal(jacrev(lambda w: keep(w, mask, gradient))(x), torch.diag(learns))
    for outer in (jacrev, jacfwd):
        for inner in (jacrev, jacfwd):  # of k(w) w it is 2 dk/dw
            curvature = outer(inner(lambda w: (keep(w, mask, gradient) * w).sum()))(x)
            torch.testing.assert_close(curvature, torch.diag(2 * learns))


def test_gradients_are_those_of_differences(device):
    x = torch.randn(16, 16, device=device, dtype=torch.float64, requires_grad=True)
    mask = find_mask(x, 8, 16)
    for function in (lambda x: tsenor_torch.prune_(x * x, 8, 16), lambda x: keep(x * x, mask, "masked")):
        assert torch.autograd.gradcheck(function, x, check_forward_ad=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(function, x)


def test_prune_under_func(device):
    x, gradient = torch.randn(32, 32, device=device), torch.randn(32, 32, device=device)
    mask = find_mask(x, 8, 16)

    def pruned(x):
        return tsenor_torch.prune_(x.clone(), 8, 16)

    assert torch.equal(grad(lambda x: (pruned(x) * gradient).sum())(x), gradient * mask)
    assert torch.equal(jvp(pruned, (x,), (gradient,))[1], gradient * mask)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_vmap_is_a_loop(device, dim):
    weight, scores = torch.randn(3, 32, 48, device=device), torch.rand(3, 32, 48, device=device)
    norms = torch.rand(3, 48, device=device)
    moved = weight.movedim(0, dim)

    def check(function, *others, in_dims):
        got = vmap(function, in_dims=(dim, *in_dims))(moved, *others)
        for k in range(3):
            one = function(weight[k], *(o if d is None else o.select(d, k) for o, d in zip(others, in_dims)))
            for g, o in zip(*((t if isinstance(t, tuple) else (t,)) for t in (got, one))):
                assert torch.equal(g[k], o)

    check(lambda w: ops.find_mask(w, 8, 16, with_report=True), in_dims=())
    check(lambda w: find_mask(w, 8, 16), in_dims=())
    check(lambda w, i: find_mask(w, 8, 16, importance=i), scores[0], in_dims=(None,))
    check(lambda w, i: find_mask(w, 8, 16, importance=i), scores, in_dims=(0,))
    check(lambda w, c: find_mask(w, 8, 16, column_norms=c), norms[0], in_dims=(None,))
    check(lambda w, c: find_mask(w, 8, 16, column_norms=c), norms, in_dims=(0,))
    check(lambda w: tsenor_torch.prune_(w.clone(), 8, 16), in_dims=())
    assert torch.equal(vmap(lambda i: find_mask(weight[0], 8, 16, importance=i))(scores)[1],
                       find_mask(weight[0], 8, 16, importance=scores[1]))


def test_vmap_of_operators_that_write(device):
    weight, mask = torch.randn(3, 32, 32, device=device), torch.zeros(3, 32, 32, dtype=torch.bool, device=device)
    prices = torch.zeros(3, 4, 2, 16, device=device)

    def find(mask, weight, prices):
        ops.find_mask_(mask, weight, 8, 16, prices=prices)
        return mask

    vmap(find)(mask, weight, prices)
    assert torch.equal(mask, find_mask(weight, 8, 16))
    one = torch.zeros(4, 2, 16, device=device)
    ops.find_mask_(mask[1].clone(), weight[1], 8, 16, prices=one)
    assert torch.equal(prices[1], one)
    with pytest.raises(RuntimeError, match="vmap"):
        vmap(lambda w: ops.find_mask_(mask[0], w, 8, 16))(weight)
    with pytest.raises(RuntimeError, match="vmap"):
        vmap(lambda i: tsenor_torch.prune_(weight[0], 8, 16, importance=i))(torch.rand_like(weight))


@pytest.mark.parametrize("dim", [0, 1])
def test_vmap_of_pruners_is_a_loop(device, dim):
    weights, x = torch.randn(3, 16, 32, device=device), torch.randn(3, 40, 32, device=device)

    def all_of_them(weight, gram, x):
        ops.gram_(gram, x)
        pruned = [weight.clone() for _ in range(4)]
        masks = ops.magnitude_(pruned[0], 4, 8), ops.wanda_(pruned[1], gram, 4, 8)
        masks = *masks, ops.sparsegpt_(pruned[2], gram, 4, 8, tokens=40)
        return *pruned, *masks, *ops.alps_(pruned[3], ops.alps_inputs(gram), 4, 8)

    grams, sums = torch.zeros(3, 32, 32, device=device), torch.zeros(3, 32, 32, device=device)
    together = vmap(all_of_them, in_dims=(dim, 0, 0))(weights.movedim(0, dim), grams, x)
    one_by_one = [all_of_them(*each) for each in zip(weights, sums, x)]
    assert torch.equal(grams, sums) and grams.any()
    for got, expected in zip(together, zip(*one_by_one)):
        assert torch.equal(got, torch.stack(expected))
    with pytest.raises(RuntimeError, match="vmap: tsenor::wanda_ writes to weight"):
        vmap(lambda gram: ops.wanda_(weights[0], gram, 4, 8))(grams)


def layer24(device):
    layer = Linear24(128, 64, device=device)
    layer(torch.randn(4, 128, device=device))
    return layer


def test_linear24_under_func(device):
    layer, x = layer24(device), torch.randn(4, 128, device=device)
    layer(x).square().mean().backward()
    loss, parameters = loss_of(layer, x)
    for name, ours in grad(loss)(parameters).items():
        torch.testing.assert_close(ours, dict(layer.named_parameters())[name].grad)
    together = vmap(grad(loss), in_dims=(None, 0))(parameters, x[:, None])
    torch.testing.assert_close(together["weight"].mean(0), layer.weight.grad, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_vmap_over_layers_of_24(device, gradient):
    x, bias, weight = (torch.randn(3, *s, device=device) for s in ((4, 128), (64,), (64, 128)))
    mask = find_mask(weight, 2, 4)
    pruned, scores = torch.where(mask, weight, 0), torch.randn(3, 4, 64, device=device)

    def one(x, weight, bias, pruned, mask):
        return ops.linear24(x, weight, bias, pruned, None, None, mask if gradient == "masked" else None, torch.float32)

    layers = x, weight, bias, pruned, mask
    got, expected = vmap(one)(*layers), torch.stack([one(*layer) for layer in zip(*layers)])
    torch.testing.assert_close(got, expected)

    def loss(call):
        return lambda *learns: (call(*learns, pruned, mask) * scores).sum()

    def loop(*layers):
        return torch.stack([one(*layer) for layer in zip(*layers)])

    for ours, theirs in zip(*(grad(loss(call), argnums=(0, 1, 2))(x, weight, bias) for call in (vmap(one), loop))):
        torch.testing.assert_close(ours, theirs)


def test_linear24_has_tangents(device):
    layer = layer24(device)
    x, tangent = torch.randn(4, 128, device=device), torch.randn(4, 128, device=device)
    dw, db = torch.randn_like(layer.weight), torch.randn_like(layer.bias)
    parameters, buffers = split(layer)

    def forward(x, weight, bias):
        return functional_call(layer, ({"weight": weight, "bias": bias}, buffers), (x,))

    point = x, parameters["weight"].detach(), parameters["bias"].detach()
    value, moved = jvp(forward, point, (tangent, dw, db))
    pruned = torch.where(layer.mask, layer.weight.detach(), 0)
    expected = tangent @ pruned.t() + x @ dw.t() + db
    assert torch.equal(value, layer(x))
    torch.testing.assert_close(moved, expected, rtol=3e-2, atol=3e-2 * float(expected.abs().max()))


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
@pytest.mark.parametrize("outer", [jacrev, jacfwd])
@pytest.mark.parametrize("inner", [jacrev, jacfwd])
def test_linear24_has_second_derivatives(device, gradient, outer, inner):
    weight, x, bias = (torch.randn(*s, device=device) for s in ((64, 64), (2, 64), (64,)))
    mask, point = find_mask(weight, 2, 4), 0.1 * torch.randn(3, device=device)
    pruned, here = torch.where(mask, weight, 0), weight * (1 + point[1])

    def ours(x, weight, bias):
        return ops.linear24(x, weight, bias, pruned, None, None, mask if gradient == "masked" else None, torch.float32)

    def expected(x, weight, bias):  # what linear24 is at the point, and moves by
        moved = weight - here
        return torch.nn.functional.linear(x, pruned + (moved if gradient == "straight_through" else moved * mask), bias)

    def derivatives(layer):
        def along(t):
            return layer(x * (1 + t[0]), weight * (1 + t[1]), bias * (1 + t[2])).pow(3).mean()

        return inner(along)(point), outer(inner(along))(point)

    for got, right in zip(derivatives(ours), derivatives(expected)):
        torch.testing.assert_close(got, right, rtol=1e-3, atol=1e-3 * float(right.abs().max()))


def test_second_derivatives_of_sparse_products_are_refused(device):
    dy, x, weight = (torch.randn(64, 64, device=device) for _ in range(3))
    form = torch.empty(64 * 64 // 8 * 9, dtype=torch.uint8, device=device)
    with pytest.raises(NotImplementedError, match="second derivative"):
        ops.linear24_backward(dy.requires_grad_(), x, weight, None, form, None, [True, True, True])


def test_copies_and_pickles(device):
    model, x = model_on(device), torch.randn(4, 32, device=device)
    for other in (copy.deepcopy(model),):
        assert torch.equal(other(x), model(x))
        other(x).sum().backward()
    mask, reports = find_mask(torch.randn(32, 32, device=device), 8, 16, with_report=True)
    again = pickle.loads(pickle.dumps((mask, reports, tsenor_torch.check_mask(mask, 8, 16))))
    assert torch.equal(again[0], mask) and torch.equal(again[1].value, reports.value) and again[2] == (0, 0)


def test_autocast_and_scaled_gradients(device):
    model, x = model_on(device), torch.randn(4, 32, device=device)
    weight = torch.randn(32, 32, device=device)
    mask = find_mask(weight, 8, 16)
    with torch.autocast(device, torch.bfloat16):
        assert keep(weight, mask).dtype == torch.float32 and torch.equal(find_mask(weight, 8, 16), mask)
        y = model(x)
    assert y.dtype == torch.bfloat16
    scaler = torch.amp.GradScaler(device, init_scale=8.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model[0].parametrizations.weight.original.detach().clone()
    scaler.scale(y.float().square().mean()).backward()
    scaler.step(optimizer)
    assert not torch.equal(model[0].parametrizations.weight.original, before)


def test_subclasses_of_tensor(device):
    from torch.testing._internal.two_tensor import TwoTensor

    class Named(torch.Tensor):
        pass

    weight = torch.randn(32, 32, device=device)
    mask = find_mask(weight, 8, 16)
    assert torch.equal(find_mask(torch.nn.Parameter(weight), 8, 16), mask)
    ours, pytorchs = find_mask(weight.as_subclass(Named), 8, 16), weight.as_subclass(Named) > 0
    assert type(ours) is type(pytorchs) and torch.equal(ours.as_subclass(torch.Tensor), mask)
    both = find_mask(TwoTensor(weight, -weight.t().contiguous()), 8, 16)
    assert isinstance(both, TwoTensor) and torch.equal(both.a, mask)
    assert torch.equal(both.b, find_mask(-weight.t().contiguous(), 8, 16))
