"""What determines an artifact of the controls and of a search, and where each of them gets what it starts from."""

from types import SimpleNamespace

import torch
from tiny import TRAIN, UNSEEN

from unidelta.projections import KINDS
from unidelta.stages import baselines, maps, optimization, shared


def test_what_determines_a_search(open_run, monkeypatch):
    def ids(**changes):
        run, found = open_run(**changes), []

        def compute(run, stage, wanted, work):
            found.extend(run.store.path(stage, *named).name for named in wanted.values())
            return wanted
        with monkeypatch.context() as patch:
            patch.setattr(optimization, "compute", compute)
            optimization.optimize(run, TRAIN, UNSEEN[:1], ["lora"], subspaces={0: SimpleNamespace(id="approximate/x")})
        return found[0]
    changes = ({}, {"optimize_lrs": (1.0, 2.0)}, {"optimize_every": 1}, {"optimize_batch": 5}, {"optimize_steps": 3},
               {"optimize_init": "train"}, {"optimize_spread": 0.3})
    assert len({ids(**change) for change in changes}) == len(changes)


def test_a_search_from_the_training_tasks_starts_at_the_mean_of_all():
    saved = {"I.lora": torch.tensor([[1.0, 3.0], [3.0, 5.0]])}
    assert maps.mean_vector(SimpleNamespace(tensors=lambda: saved), "lora").tolist() == [2.0, 4.0]
    assert maps.mean_vector(SimpleNamespace(tensors=lambda: {"I": saved["I.lora"]}), "lora").tolist() == [2.0, 4.0]


def test_guessing_is_of_development_rows(monkeypatch):
    asked = []
    monkeypatch.setattr(baselines, "chance", lambda run, data, seed, split="test": asked.append(split) or 0.2)
    monkeypatch.setattr(baselines, "majority", lambda data, split="test": asked.append(split) or 0.4)
    assert baselines.guessing(None, None, 0) == 0.4
    assert asked == ["dev", "dev"]


def test_every_delta_has_a_random_subspace_of_its_own(monkeypatch):
    monkeypatch.setattr(maps, "random_like", lambda own, seed, kind: (seed, kind))
    run = SimpleNamespace(backbone=SimpleNamespace(device="cpu"))
    space = SimpleNamespace(config={"seed": 5}, tensors=lambda: {f"up.{k}": torch.ones(2, 2) for k in KINDS})
    assert [maps.up_projection(run, space, k, "random") for k in KINDS] == [(5, k) for k in KINDS]


def test_where_fine_tuning_takes_part_with_one_delta_the_settings_are_its_own(open_run):
    run = open_run(shared_optimize_batch=5, fastfood_optimize_batch=6)
    assert shared.later(run, ("lora", "finetune")).profile.optimize_batch == 6
