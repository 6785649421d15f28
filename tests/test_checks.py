"""What library functions are given in a wrong form is told in one line that says what is allowed."""

import re
from types import SimpleNamespace

import pytest
import torch

from unidelta import backbone, deltas, fastfood, params, profiles, tasks
from unidelta.fastfood import Fastfood
from unidelta.projections import Projection, draw_ratios, draw_spread, random_like
from unidelta.stages import approximate, landscape, original, shared

WRONG_SEEDS = ("0", None, 1.5, -1, True)
WRONG_SIZES = ("4", None, 1.5, 0, -2, True)
UP = torch.ones(3, 2)


@pytest.fixture(scope="module")
def config():
    return backbone.load("embedded", device="cpu").config


@pytest.fixture
def run(open_run):
    return open_run(backbone="embedded")


def refused(call, *told: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    message = str(error.value)
    assert "\n" not in message
    assert all(part in message for part in ("allowed", *told)), message


@pytest.mark.parametrize("seed", WRONG_SEEDS)
@pytest.mark.parametrize("call", [
    lambda seed, lora: lora.init(seed),
    lambda seed, _: Projection.start(10, 2, [seed], "lora"),
    lambda seed, _: Fastfood.start([10], 2, [seed]),
    lambda seed, _: random_like(UP, seed, "lora"),
    lambda seed, _: draw_ratios(seed, 0, 1),
    lambda seed, _: draw_spread(seed, 0, 1, 2, 0.1),
    lambda seed, _: tasks.load("glue-sst2", "embedded", seed=seed),
    lambda seed, _: tasks.rows("glue-sst2", "train", "embedded", seed=seed),
], ids=["init", "Projection", "Fastfood", "random_like", "draw_ratios", "draw_spread", "load", "rows"])
def test_seeds(call, seed, config):
    refused(lambda: call(seed, deltas.make("lora", config)), repr(seed), "whole numbers from 0")


@pytest.mark.parametrize("size", WRONG_SIZES)
@pytest.mark.parametrize("call", [
    lambda size: Projection.start(size, 2, [0], "lora"),
    lambda size: Projection.start(10, size, [0], "lora"),
    lambda size: Fastfood.start([size], 2, [0]),
    lambda size: Fastfood.start([10], size, [0]),
    lambda size: fastfood.trained([10], size),
    lambda size: draw_ratios(0, 0, size),
    lambda size: draw_spread(0, 0, size, 2, 0.1),
    lambda size: draw_spread(0, 0, 1, size, 0.1),
], ids=["N", "y", "weights", "y of Fastfood", "y of G", "draws", "draws of noise", "y of noise"])
def test_sizes(call, size):
    refused(lambda: call(size), repr(size), "whole numbers from 1")


@pytest.mark.parametrize("start", [lambda seeds: Projection.start(10, 2, seeds, "lora"),
                                   lambda seeds: Fastfood.start([10], 2, seeds)], ids=["Projection", "Fastfood"])
@pytest.mark.parametrize("seeds", ["0", 0, None, []])
def test_lists_of_seeds(start, seeds):
    refused(lambda: start(seeds), "a list")


@pytest.mark.parametrize("numels", ["10", 10, None, []])
def test_sizes_of_fastfood_are_a_list(numels):
    refused(lambda: Fastfood.start(numels, 2, [0]), "a list", repr(numels))


@pytest.mark.parametrize("kind", ["adapter", "lora", "prefix"])
def test_tensors_that_are_no_theta(kind, config):
    delta = deltas.make(kind, config)
    n = delta.numel
    for theta, got in [(torch.zeros(n - 1), f"({n - 1},)"), (torch.zeros(2, 5), "(2, 5)"), ([0.0] * n, "list"),
                       (torch.zeros(2, 3, n), f"(2, 3, {n})"), (None, "NoneType")]:
        refused(lambda theta=theta: delta.views(theta), got, f"({n},) or (K, {n})", kind)
        refused(lambda theta=theta: delta.blocks(theta), got, f"(K, {n})", kind)
    refused(lambda: delta.blocks(torch.zeros(n)), f"({n},)", f"(K, {n})")


@pytest.mark.parametrize("word", [None, 5, ["lora"], "Lora"])
def test_names(word, config, run):
    for call in (lambda: deltas.make(word, config), lambda: Projection.start(10, 2, [0], word),
                 lambda: random_like(UP, 0, word), lambda: run.start(word), lambda: profiles.get(word),
                 lambda: Fastfood.start([10], 2, [0], word), lambda: original(run, ["glue-sst2"], [word]),
                 lambda: shared.shared(run, ["glue-sst2"], [word])):
        refused(call, repr(word))


@pytest.mark.parametrize("name", [None, 5, b"x", ["embedded"]])
def test_a_backbone_has_a_name_or_a_path(name):
    refused(lambda: backbone.load(name), repr(name), "embedded", "a local folder")
    refused(lambda: backbone.load("embedded", dtype=name), repr(name), "float32")


@pytest.mark.parametrize("step", ["0", None, 1.5, -1])
def test_steps(step):
    refused(lambda: draw_ratios(0, step, 1), "step", "whole numbers from 0")
    refused(lambda: draw_spread(0, step, 1, 2, 0.1), "step", "whole numbers from 0")


def test_a_setting_that_is_left_open_has_a_name_all_the_same():
    refused(lambda: profiles.get("embedded", stepz=None), "'stepz'", "steps")


def test_nothing_to_choose_from_is_said_so():
    with pytest.raises(params.ParameterError, match="^there is no task to choose from here"):
        params.names("qasc", [], "task")


def test_another_network_with_a_decoder_is_no_t5():
    with pytest.raises(ValueError, match="config is a SimpleNamespace: it must be the configuration of a T5"):
        deltas.make("lora", SimpleNamespace(num_decoder_layers=2, num_layers=2, d_model=8))


@pytest.mark.parametrize("given", [None, 5, "glue-sst2", [], {"glue-sst2"}])
def test_tasks_and_kinds_are_lists(given, run):
    for call in (lambda: approximate(run, given), lambda: shared.shared(run, ["glue-sst2"], given),
                 lambda: original(run, given)):
        with pytest.raises(ValueError, match=f"={re.escape(repr(given))} is not allowed; allowed: a list of"):
            call()


@pytest.mark.parametrize("given", [{"step": "0.4"}, {"step": None}, {"step": True}, {"step": 0.0}, {"step": 3.0},
                                   {"extent": "4"}, {"extent": float("inf")}, {"extent": -4.0}])
def test_the_grid_of_a_landscape(given, run):
    refused(lambda: landscape(run, ["glue-sst2"], "rotten_tomatoes", **given), repr(*given.values()), "allowed")
