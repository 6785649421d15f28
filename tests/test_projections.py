"""Projections, interpolation and reconstruction against the formulas of section 4, written out by hand."""

import math

import pytest
import torch

from unidelta.projections import (
    KINDS,
    RATIO,
    VARIANTS,
    Projection,
    draw_ratios,
    draw_spread,
    interpolate,
    random_like,
    reconstruction,
)

N, Y = 11, 3


@pytest.fixture
def maps():
    return Projection.start(N, Y, [5, 6], "lora")


def test_shapes_scale_and_seeds(maps):
    assert (maps.down1.shape, maps.down2.shape, maps.up.shape) == ((2, Y, N), (2, Y, Y), (2, N, Y))
    large = torch.cat([t.flatten() for t in Projection.start(20_000, 4, [1], "adapter").tensors()])
    assert large.std().item() == pytest.approx(0.02, rel=0.02)
    assert abs(large.mean().item()) < 2e-4
    assert not torch.equal(maps.up[0], maps.up[1])
    starts = [Projection.start(N, Y, [5], kind).up for kind in KINDS]
    assert not any(torch.equal(starts[i], starts[j]) for i in range(3) for j in range(i)), "every delta draws its own"


def test_the_start_does_not_depend_on_the_stack(maps):
    for i, seed in enumerate((5, 6)):
        alone = Projection.start(N, Y, [seed], "lora")
        assert all(torch.equal(a[0], b[i]) for a, b in zip(alone.tensors(), maps.tensors(), strict=True))


def test_down_and_up_by_hand(maps):
    offset = torch.randn(2, 4, N, generator=torch.Generator().manual_seed(0)) * 20  # large enough for tanh to bend
    intrinsic = maps.to_subspace(offset)
    assert intrinsic.shape == (2, 4, Y)
    for s in range(2):
        for t in range(4):
            hidden = [math.tanh(sum(float(maps.down1[s, h, n]) * float(offset[s, t, n]) for n in range(N)))
                      for h in range(Y)]
            vector = torch.tensor([sum(float(maps.down2[s, i, h]) * hidden[h] for h in range(Y)) for i in range(Y)])
            torch.testing.assert_close(intrinsic[s, t], vector, atol=1e-6, rtol=1e-4)
            raised = torch.tensor([sum(float(maps.up[s, n, i]) * float(intrinsic[s, t, i]) for i in range(Y))
                                   for n in range(N)])
            torch.testing.assert_close(maps.to_delta(intrinsic)[s, t], raised, atol=1e-7, rtol=1e-4)
    assert not maps.to_delta(torch.zeros(2, 1, Y)).any(), "no bias: the origin is the shared initialisation"


def test_interpolation_takes_alpha_for_adapter_beta_for_prefix_the_rest_for_lora():
    own = {"adapter": torch.tensor([[1.0, 0, 0]]), "prefix": torch.tensor([[0, 1.0, 0]]),
           "lora": torch.tensor([[0, 0, 1.0]])}
    torch.testing.assert_close(interpolate(own, torch.tensor([[0.5, 0.3, 0.2]])), torch.tensor([[0.5, 0.3, 0.2]]))
    stacked = {k: v.expand(2, 4, 3) * torch.arange(1.0, 5).view(1, 4, 1) for k, v in own.items()}
    ratios = draw_ratios(1, 2, 8).view(2, 4, 3)
    torch.testing.assert_close(interpolate(stacked, ratios), ratios * torch.arange(1.0, 5).view(1, 4, 1))


def test_ratios_lie_in_the_simplex_with_their_means():
    drawn = draw_ratios(3, 7, 20_000)
    assert drawn.shape == (20_000, 3)
    assert (drawn >= 0).all()
    torch.testing.assert_close(drawn.sum(1), torch.ones(20_000))
    # alpha ~ U[0, 1], beta ~ U[0, 1 - alpha]: the adapter gets half, the others a quarter each
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.5, 0.25, 0.25]), atol=0.01, rtol=0)
    assert (drawn[:, 0] < 0.1).float().mean().item() == pytest.approx(0.1, abs=0.01), "alpha is uniform"


def test_ratios_depend_on_seed_and_step_alone():
    assert torch.equal(draw_ratios(3, 7, 2), draw_ratios(3, 7, 2))
    others = [draw_ratios(3, 8, 2), draw_ratios(4, 7, 2)]
    assert not any(torch.equal(draw_ratios(3, 7, 2), other) for other in others)


def test_a_spread_is_normal_and_hangs_on_seed_and_step_alone():
    drawn = draw_spread(3, 7, 20_000, 4, 0.5)
    assert drawn.shape == (20_000, 4)
    assert drawn.mean().abs() < 0.01
    assert drawn.std() == pytest.approx(0.5, abs=0.01)
    assert torch.equal(drawn, draw_spread(3, 7, 20_000, 4, 0.5))
    assert not draw_spread(3, 7, 2, 4, 0.0).any()
    assert not any(torch.equal(draw_spread(3, 7, 2, 4, 0.5), draw_spread(*other, 2, 4, 0.5))
                   for other in ((3, 8), (4, 7)))


def test_reconstruction_by_hand():
    rebuilt, offset = (torch.randn(2, 3, N, generator=torch.Generator().manual_seed(i)) for i in range(2))
    paper = [sum(((rebuilt[s, t] - offset[s, t]) ** 2).sum() for t in range(3)) for s in range(2)]
    released = [sum(((rebuilt[s, t] - offset[s, t]) ** 2).sum().sqrt() for t in range(3)) for s in range(2)]
    torch.testing.assert_close(reconstruction("paper", rebuilt, offset), torch.stack(paper))
    torch.testing.assert_close(reconstruction("released", rebuilt, offset), torch.stack(released))
    assert RATIO == {"paper": 10.0, "released": 0.1}
    assert set(RATIO) == set(VARIANTS)


def test_an_unknown_variant_is_one_line_that_names_the_allowed():
    with pytest.raises(ValueError, match="unknown variant 'mine'; allowed: paper, released") as error:
        reconstruction("mine", *[torch.zeros(1, 1, N)] * 2)
    assert "\n" not in str(error.value)


def test_the_random_control_keeps_every_columns_length_and_no_direction():
    up = Projection.start(5000, Y, [1], "prefix").up[0] * torch.tensor([1.0, 5.0, 0.1])
    noise = random_like(up, 0, "prefix")
    torch.testing.assert_close(noise.norm(dim=0), up.norm(dim=0))
    assert torch.cosine_similarity(noise, up, dim=0).abs().max() < 0.06
    assert torch.equal(noise, random_like(up, 0, "prefix"))
    assert not torch.equal(noise, random_like(up, 1, "prefix"))
    other = random_like(up, 0, "lora")
    assert torch.cosine_similarity(noise, other, dim=0).abs().max() < 0.06, \
        "the deltas' random subspaces have nothing in common"


def test_neighbouring_seeds_steps_and_deltas_share_no_draw():
    """If seed, step and delta were added up, one's numbers would be another's."""
    def apart(drawn):
        return len({tuple(t.flatten().tolist()) for t in drawn}) == len(drawn)
    assert apart([draw_ratios(seed, step, 2) for seed in range(3) for step in range(3)])
    assert apart([draw_spread(seed, step, 2, 4, 0.5) for seed in range(3) for step in range(3)])
    starts = Projection.start
    assert apart([starts(11, 3, [seed], kind).up for seed in range(3) for kind in KINDS])
    up = starts(11, 3, [0], "lora").up[0]
    assert apart([random_like(up, seed, kind) for seed in range(3) for kind in KINDS])


def test_a_seed_draws_what_it_drew_for_the_archived_results():
    """A result is named by its seed: other numbers would be found under the names of those that are kept."""
    drawn = [random_like(torch.ones(2, 2), 1, "lora"), Projection.start(2, 1, [1], "lora").up,
             draw_ratios(1, 2, 1), draw_spread(1, 2, 1, 2, 1.0)]
    expected = [[-0.96454, 1.35075, 1.03425, 0.41889], [-0.00608, -0.0264], [0.18114, 0.41019, 0.40866],
                [0.4619, -0.44092]]
    assert [t.flatten().tolist() for t in drawn] == [pytest.approx(numbers, abs=1e-5) for numbers in expected]


def test_beta_is_uniform_in_what_alpha_leaves():
    drawn = draw_ratios(3, 7, 20_000)
    share = drawn[:, 1] / (1 - drawn[:, 0])
    for q in (0.1, 0.5, 0.9):
        assert (share < q).float().mean().item() == pytest.approx(q, abs=0.01)
