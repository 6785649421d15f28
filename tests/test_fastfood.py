"""Fastfood against its definition: H G Pi H B written out as dense matrices, gradients against finite differences."""

import pytest
import torch
from scipy.linalg import hadamard as dense_hadamard
from transformers import T5Config, T5ForConditionalGeneration

from unidelta import fastfood
from unidelta.fastfood import Fastfood, draw, hadamard, padded, sizes_of

NUMELS = (12, 7, 30, 1, 8)  # P = 16, 8, 32, 4 (for y = 3) and 8


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def double(y=3, seeds=(0,), variant="exact", numels=NUMELS):
    made = Fastfood.start(numels, y, seeds, variant)
    made.G = made.G.double()
    return made


def dense(numel, y, seed, g=None, normaliser=None):
    """Return M for one tensor, (D, y), from the matrices of section 5.3.

    g and normaliser default to the drawn G and to the normaliser of g."""
    p, r = sizes_of(numel, y)
    start, permutation, signs = draw(numel, y, seed)
    g = start.double() if g is None else g
    h, pi = torch.from_numpy(dense_hadamard(p)).double(), torch.eye(p, dtype=torch.float64)[permutation]
    b = torch.diag(torch.cat([signs.double(), torch.ones(p - r, dtype=torch.float64)]))
    m = h @ torch.diag(g) @ pi @ h @ b
    normaliser = (p * g.square().sum()).sqrt() * (numel / p) ** 0.5 if normaliser is None else normaliser
    return m[:numel, :y] / normaliser


# ---- the transform


@pytest.mark.parametrize("n", [1, 2, 8, 16, 32, 128, 2048])
def test_the_transform_is_the_hadamard_matrix(n):
    x = random(2, 3, n)
    torch.testing.assert_close(hadamard(x), x @ torch.from_numpy(dense_hadamard(n)).double())


@pytest.mark.parametrize("levels", [17, 20, 21])
def test_a_long_transform_has_the_signs_of_the_matrix(levels):
    """H[i, j] = (-1)^(bits that i and j have in common). Above 2^16 the levels are split up in another way."""
    draws = torch.Generator().manual_seed(levels)
    rows, columns = (torch.randint(2**levels, (200,), generator=draws).tolist() for _ in range(2))
    x = torch.zeros(2**levels, dtype=torch.float64)
    x[columns] = torch.arange(1.0, 201.0, dtype=torch.float64)
    wanted = [sum(x[j].item() * (-1) ** (i & j).bit_count() for j in set(columns)) for i in rows]
    torch.testing.assert_close(hadamard(x)[rows], torch.tensor(wanted, dtype=torch.float64))


def test_the_transform_is_orthogonal_up_to_its_length_and_its_own_inverse():
    x = random(5, 512)
    torch.testing.assert_close(hadamard(hadamard(x)) / 512, x)
    torch.testing.assert_close(hadamard(x).norm(dim=1), x.norm(dim=1) * 512**0.5)
    h = hadamard(torch.eye(64))
    assert torch.equal(h @ h.T, 64 * torch.eye(64))
    assert torch.equal(h, h.T)


def test_the_transforms_gradient_is_exact_and_scaled_on_demand():
    x = random(3, 32).requires_grad_()
    assert torch.autograd.gradcheck(hadamard, x)
    assert torch.autograd.gradgradcheck(hadamard, x)
    weight = random(3, 32, seed=1)
    exact, = torch.autograd.grad((hadamard(x) * weight).sum(), x)
    scaled, = torch.autograd.grad((hadamard(x, 0.25) * weight).sum(), x)
    torch.testing.assert_close(scaled, 0.25 * exact)


@pytest.mark.parametrize("n", [3, 24, 100])
def test_other_lengths_are_refused(n):
    with pytest.raises(ValueError, match=f"the length must be a power of two, got {n}"):
        hadamard(torch.ones(2, n))


# ---- the projection


@pytest.mark.parametrize("variant", fastfood.VARIANTS)
@pytest.mark.parametrize("y", [1, 3, 4, 11])
def test_the_fast_path_is_the_dense_matrix(variant, y):
    seeds, vectors = (0, 5), random(2, 3, y)
    made = double(y, seeds, variant)
    offsets = made.to_delta(vectors)
    assert offsets.shape == (2, 3, sum(NUMELS))
    for s, seed in enumerate(seeds):
        m = torch.cat([dense(n, y, 1_000_003 * seed + i) for i, n in enumerate(NUMELS)])
        # G was drawn in single precision
        torch.testing.assert_close(offsets[s], vectors[s] @ m.T, rtol=1e-5, atol=1e-6)


def test_gradients_reach_the_vector_and_g_and_are_exact():
    made, vectors = double(2, (0, 1), numels=(5, 7, 1)), random(2, 2, 2).requires_grad_()
    g = made.G.clone().requires_grad_()

    def offset(vectors, g):
        made.G = g
        return made.to_delta(vectors)

    assert torch.autograd.gradcheck(offset, (vectors, g))
    made.variant = "released"
    assert not torch.autograd.gradcheck(offset, (vectors, g), raise_exception=False), \
        "the released backward is not the gradient"


def test_columns_have_length_one_on_average():
    y = 8
    made = Fastfood.start([600] * 200, y, [0])
    lengths = made.to_delta(torch.eye(y)[None]).view(y, 200, 600).norm(dim=2)
    assert lengths.mean() == pytest.approx(1.0, abs=0.01)
    assert lengths.std() < 0.1
    full = Fastfood.start([512] * 3, y, [0]).to_delta(torch.eye(y)[None]).view(y, 3, 512).norm(dim=2)
    torch.testing.assert_close(full, torch.ones(y, 3))  # exactly one where nothing is cut off


def test_the_same_seed_gives_the_same_numbers_in_any_company():
    pair, alone = Fastfood.start(NUMELS, 3, (4, 7)), Fastfood.start(NUMELS, 3, (7,))
    assert torch.equal(pair.G[1], alone.G[0])
    assert not torch.equal(pair.G[0], pair.G[1])
    vectors = random(1, 2, 3).float()
    torch.testing.assert_close(pair.to_delta(vectors.expand(2, -1, -1))[1], alone.to_delta(vectors)[0])


def test_blocks_are_views_of_every_diagonal():
    made = Fastfood.start(NUMELS, 3, (0,))
    blocks = made.blocks(made.G)
    assert [tuple(b.shape) for b in blocks] == [(1, 1, 4), (1, 2, 8), (1, 1, 16), (1, 1, 32)], \
        "P ascending, tensors of one P together"
    assert torch.equal(blocks[1][0, 1], draw(8, 3, 4)[0]), "tensor 4 is the second of those with P = 8"
    blocks[0].fill_(9.0)
    assert (made.G[0, :4] == 9).all()


# ---- what the authors' code does otherwise


def test_the_released_gradients_are_scaled_by_the_tensors_size():
    """A transform of length P scales by 1/sqrt(P): G's gradient once, I's twice.

    Checked on one tensor alone, with the same frozen normaliser."""
    numel, y = 30, 3
    p = padded(numel)
    weight = random(1, 1, numel, seed=2)
    start = draw(numel, y, 0)[0].double()
    normaliser = (p * start.square().sum()).sqrt() * (numel / p) ** 0.5
    made = double(y, (0,), "released", (numel,))
    vector, made.G = random(1, 1, y).requires_grad_(), made.G.requires_grad_()
    ours = torch.autograd.grad((made.to_delta(vector) * weight).sum(), (vector, made.G))
    g = start.clone().requires_grad_()
    true = torch.autograd.grad((vector @ dense(numel, y, 0, g, normaliser).T * weight).sum(), (vector, g))
    torch.testing.assert_close(ours[0], true[0] / p, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(ours[1][0], true[1] / p**0.5, rtol=1e-5, atol=1e-8)


def test_the_released_normaliser_stays_what_it_was():
    vectors = random(1, 2, 3)
    exact, released = double(), double(variant="released")
    before = exact.to_delta(vectors)
    torch.testing.assert_close(released.to_delta(vectors), before, rtol=1e-5, atol=1e-7)
    exact.G, released.G = 3 * exact.G, 3 * released.G
    torch.testing.assert_close(exact.to_delta(vectors), before)  # the length of G does not matter
    torch.testing.assert_close(released.to_delta(vectors), 3 * before, rtol=1e-5, atol=1e-7)


def test_other_variants_are_refused():
    with pytest.raises(ValueError, match="unknown Fastfood variant 'mine'; allowed: exact, released"):
        Fastfood.start(NUMELS, 3, [0], "mine")


# ---- how much it trains


def test_g_is_larger_than_the_model():
    assert fastfood.trained(NUMELS, 3) == Fastfood.start(NUMELS, 3, [0]).G.shape[1] == 16 + 8 + 32 + 4 + 8
    assert fastfood.trained([5], 100) == 128, "a tensor smaller than I is padded to hold it"
    config = T5Config(d_model=768, d_kv=64, num_heads=12, num_layers=12, num_decoder_layers=12, d_ff=2048,
                      vocab_size=32128, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    with torch.device("meta"):
        model = T5ForConditionalGeneration(config)
        # v1.1's head is a tensor of its own
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    numels = [weight.numel() for weight in model.parameters()]
    assert sum(numels) == 247_577_856
    assert fastfood.trained(numels, 4) == fastfood.trained(numels, 100) == 369_163_264


def test_a_vector_longer_than_a_short_integer_counts():
    numel, y = 40_000, 2**15 + 1
    made = double(y, numels=(numel,))
    assert made.residue[2**16].dtype == torch.int32
    assert double().residue[16].dtype == torch.int16
    out = made.to_delta(torch.nn.functional.one_hot(torch.tensor(y - 1), y).double()[None, None])
    assert out.shape == (1, 1, numel)
    assert torch.isfinite(out).all()
    assert out.abs().max() > 0
