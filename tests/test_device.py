"""On another device than the CPU nothing is left behind on the CPU, shown without one.

torch's fake tensors compute shapes and devices only, and refuse to mix devices as a GPU would. `lazy` is a device that
every build of torch knows by name."""

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import T5Config, T5ForConditionalGeneration

from unidelta import deltas, fastfood
from unidelta.backbone import Backbone
from unidelta.data import Encoded, collate
from unidelta.deltas import applied
from unidelta.evaluation import losses
from unidelta.fastfood import Fastfood
from unidelta.finetune import Finetune
from unidelta.optim import Adafactor
from unidelta.projections import (
    KINDS,
    VARIANTS,
    Projection,
    centre,
    draw_ratios,
    draw_spread,
    interpolate,
    random_like,
    reconstruction,
)
from unidelta.stages.blend import chosen

DEVICE = "lazy"
SIZES = {"adapter": {"bottleneck": 2}, "lora": {"rank": 2}, "prefix": {"length": 3, "hidden": 2}}


@pytest.fixture
def elsewhere():
    fastfood._sylvester.cache_clear()  # what it holds would be of other tests, and later of this one
    with FakeTensorMode():
        yield torch.device(DEVICE)
    fastfood._sylvester.cache_clear()


def model_on(device: torch.device) -> T5ForConditionalGeneration:
    """A small T5 whose weights and buffers are on `device` (`Module.to` cannot move fake tensors)."""
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=32, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", dropout_rate=0.0, decoder_start_token_id=0)).eval()
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(weight.detach().to(device), requires_grad=False)
        module._buffers.update({name: buffer.to(device) for name, buffer in module._buffers.items()})
    return model


def batch_on(device: torch.device, groups: int) -> dict:
    rows = [np.array([3, 4, 1]), np.array([5, 1])]
    return collate([(Encoded(rows, rows, [["a"], ["b"]]), [0, 1])] * groups, device)


def test_devices_cannot_be_mixed_here(elsewhere):
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3, device=elsewhere) + torch.ones(3)


@pytest.mark.parametrize("bias", ["relative", "zero"])
def test_a_mixed_stack_is_trained_where_the_backbone_is(elsewhere, bias):
    model = model_on(elsewhere)
    made = {kind: deltas.make(kind, model.config, **SIZES[kind]) for kind in KINDS}
    made["prefix"] = deltas.make("prefix", model.config, **SIZES["prefix"], bias=bias)
    entries = [(delta, delta.init(0).to(elsewhere).repeat(2, 1).requires_grad_()) for delta in made.values()]
    with applied(model, entries):
        each = losses(model, batch_on(elsewhere, 6), 6)
    assert each.device.type == DEVICE
    each.sum().backward()
    for delta, theta in entries:
        optimizer = Adafactor([theta], 1e-2, delta.blocks)
        optimizer.lrs = [torch.ones(2)]  # a grid of rates is made on the CPU
        optimizer.step()
        optimizer.lrs = [1e-2]  # rates are checked to be above zero, and fake ones have no value
        rest = optimizer.select(torch.tensor([1]), [theta.detach()[1:].requires_grad_()])
        assert all(moment.device.type == DEVICE for moment in rest.state_dict().values() if moment.ndim > 1)


def test_fine_tuning_runs_where_the_backbone_is(elsewhere):
    model = model_on(elsewhere)
    full = Finetune.of(model)
    theta = full.init().to(elsewhere).requires_grad_()
    here = Backbone("fake", model.config, None, elsewhere, "", lambda: model)
    losses(full.tuned(here, theta).model, batch_on(elsewhere, 1), 1).sum().backward()
    assert theta.grad.device.type == DEVICE


def test_stage_1_stays_where_its_solutions_are(elsewhere):
    maps = Projection(*(t.to(elsewhere) for t in Projection.start(40, 3, [0, 1], "lora").tensors()))
    here = chosen(torch.ones(2, 3, 40, device=elsewhere), torch.tensor([[0, 2], [1, 1]]))
    own = {kind: maps.to_subspace(here) for kind in KINDS}
    mixed = interpolate(own, torch.stack([draw_ratios(seed, 0, 2) for seed in (0, 1)]).to(here))
    mixed = mixed + draw_spread(0, 0, 2, 3, 0.1).to(mixed)
    found = [reconstruction(variant, maps.to_delta(mixed), here) for variant in VARIANTS]
    found += [centre(own), random_like(maps.up[0], 0, "lora")]
    assert [t.device.type for t in found] == [DEVICE] * 4


@pytest.mark.parametrize("variant", fastfood.VARIANTS)
def test_fastfood_is_drawn_on_the_cpu_and_works_where_it_is_told(elsewhere, variant):
    maps = Fastfood.start([10, 40, 300], 4, [0, 1], variant, device=elsewhere)
    maps.G.requires_grad_()
    maps.to_delta(torch.ones(2, 3, 4, device=elsewhere)).sum().backward()
    assert maps.G.grad.device.type == DEVICE
