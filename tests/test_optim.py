"""The stacked Adafactor against transformers' own, run once per problem."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config
from transformers.optimization import Adafactor as Reference

from unidelta import deltas
from unidelta.optim import Adafactor

SHAPES = [(7, 5), (6,), (3, 4, 5), (1,)]
RATES = torch.tensor([1e-3, 1e-2, 5e-2])


def start(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, *shape, generator=generator) for shape in SHAPES]


def gradients(step):
    # Sizes far apart between problems, and now and then a jump, so that clipping and decay both matter.
    scale = torch.tensor([1e-4, 1.0, 30.0]) * (20.0 if step % 9 == 0 else 1.0)
    generator = torch.Generator().manual_seed(100 + step)
    return [scale.view(3, *[1] * len(shape)) * torch.randn(3, *shape, generator=generator) for shape in SHAPES]


def reference(params, lr):
    return Reference(params, lr=lr, scale_parameter=False, relative_step=False, warmup_init=False, clip_threshold=1.0)


def test_equals_transformers_adafactor_run_problem_by_problem():
    ours = start()
    singles = [[torch.nn.Parameter(tensor[k].clone()) for tensor in ours] for k in range(3)]
    theirs = [reference(params, rate) for params, rate in zip(singles, RATES.tolist(), strict=True)]
    optimiser = Adafactor(ours, RATES)
    for step in range(50):
        grads = gradients(step)
        optimiser.step(grads)
        for k, (params, other) in enumerate(zip(singles, theirs, strict=True)):
            for param, grad in zip(params, grads, strict=True):
                param.grad = grad[k].clone()
            other.step()
    for i, tensor in enumerate(ours):
        expected = torch.stack([params[i].detach() for params in singles])
        torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=1e-6)
        assert not torch.allclose(tensor, start()[i], atol=1e-2)


@pytest.mark.parametrize("kind", ["adapter", "lora", "prefix"])
def test_theta_is_updated_as_separate_named_parameters(kind):
    config = T5Config(d_model=16, d_kv=4, num_heads=4, num_layers=2, num_decoder_layers=2)
    sizes = {"adapter": {"bottleneck": 3}, "lora": {"rank": 3}, "prefix": {"length": 6, "hidden": 3}}
    delta = deltas.make(kind, config, **sizes[kind])
    theta = torch.stack([delta.init(seed) for seed in range(2)]).requires_grad_()
    views = delta.views(theta.detach())
    named = {name: [torch.nn.Parameter(one.clone()) for one in view] for name, view in views.items()}
    theirs = reference([param for params in named.values() for param in params], 1e-2)
    optimiser = Adafactor([theta], 1e-2, views=delta.blocks)
    for step in range(50):
        theta.grad = torch.randn(theta.shape, generator=torch.Generator().manual_seed(step)) * (1 + step % 3)
        for name, grads in delta.views(theta.grad).items():
            for param, grad in zip(named[name], grads, strict=True):
                param.grad = grad.clone()
        optimiser.step()
        theirs.step()
    for name, view in delta.views(theta.detach()).items():
        torch.testing.assert_close(view, torch.stack([p.detach() for p in named[name]]), atol=1e-6, rtol=1e-6)
    assert theta.requires_grad
    assert theta.is_leaf
    optimiser.zero_grad()
    assert theta.grad is None


def test_a_saved_state_continues_bit_for_bit(tmp_path):
    whole, first = start(), start()
    through, before = Adafactor(whole, RATES), Adafactor(first, RATES)
    for step in range(6):
        through.step(gradients(step))
        if step < 3:
            before.step(gradients(step))
    save_file(before.state_dict(), tmp_path / "state.safetensors")
    after = Adafactor(first, RATES)
    after.load_state_dict(load_file(tmp_path / "state.safetensors"))
    for step in range(3, 6):
        after.step(gradients(step))
    assert all(torch.equal(a, b) for a, b in zip(whole, first, strict=True))
    with pytest.raises(ValueError, match="other shapes"):
        Adafactor(start()[:2], RATES).load_state_dict(before.state_dict())


def test_a_saved_state_stays_what_it_was():
    optimiser = Adafactor(start(), RATES)
    optimiser.step(gradients(0))
    state = optimiser.state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    optimiser.step(gradients(1))
    assert all(torch.equal(state[name], before[name]) for name in before)


def test_select_goes_on_with_part_of_the_problems():
    whole = start()
    optimiser = Adafactor(whole, RATES)
    for step in range(3):
        optimiser.step(gradients(step))
    keep = torch.tensor([2, 0])
    part = [tensor[keep].clone() for tensor in whole]
    fewer = optimiser.select(keep, part)
    optimiser.step(gradients(3))
    fewer.step([grad[keep] for grad in gradients(3)])
    for tensor, expected in zip(part, whole, strict=True):
        torch.testing.assert_close(tensor, expected[keep], atol=1e-7, rtol=1e-6)


def test_every_tensor_may_have_a_rate_of_its_own():
    together, apart = start(), start()
    rates = [RATES] + [10.0**-i for i in range(1, len(together))]
    one, each = Adafactor(together, rates), [Adafactor([t], lr) for t, lr in zip(apart, rates, strict=True)]
    for step in range(4):
        one.step(gradients(step))
        for optimiser, grad in zip(each, gradients(step), strict=True):
            optimiser.step([grad])
    assert all(torch.equal(a, b) for a, b in zip(together, apart, strict=True))
    fewer = one.select(torch.tensor([1]), [t[[1]] for t in together])
    assert torch.equal(fewer.lrs[0], RATES[[1]])
    assert fewer.lrs[1:] == rates[1:]
    with pytest.raises(ValueError, match="2 learning rates for"):
        Adafactor(start(), rates[:2])


def test_bad_input():
    with pytest.raises(ValueError, match="at least one"):
        Adafactor([], 1e-2)
    with pytest.raises(ValueError, match="one rate per problem"):
        Adafactor(start(), torch.tensor([1e-2, 1e-3]))
    with pytest.raises(ValueError, match="one rate per problem"):
        Adafactor([torch.ones(3, 4), torch.ones(2, 4)], RATES)
    for rate in (0.0, torch.tensor([1e-2, 0.0, 1e-2])):
        with pytest.raises(ValueError, match="above zero"):
            Adafactor(start(), rate)
    for given in (None, gradients(0)[:2]):
        with pytest.raises(ValueError, match="a gradient for every tensor"):
            Adafactor(start(), 1e-2).step(given)


def test_a_state_that_lacks_something_changes_nothing():
    made, other = Adafactor(start(), 1e-2), Adafactor(start(), 1e-2)
    made.step(gradients(0))
    whole = made.state_dict()
    for missing in whole:
        with pytest.raises(ValueError, match="made for tensors of other shapes"):
            other.load_state_dict({name: t for name, t in whole.items() if name != missing})
    assert not any(t.any() for t in other.state_dict().values())


def test_a_tiny_gradient_moves_as_far_as_a_large_one():
    """eps, 1e-30, is added to squared gradients alone: LoRA's A has almost no gradient while B is near zero."""
    large, tiny_ = start(), start()
    one, other = Adafactor(large, 1e-2), Adafactor(tiny_, 1e-2)
    for step in range(3):
        grads = [g.clamp(-2, 2) for g in gradients(step)]
        one.step(grads)
        other.step([g * 1e-8 for g in grads])
    for a, b in zip(large, tiny_, strict=True):
        torch.testing.assert_close(a[1:], b[1:], atol=1e-5, rtol=1e-4)
