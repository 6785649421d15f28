"""Verdicts follow from their rules, on scores made for each case; shares of a plane by hand."""

import pytest
import torch
from bs4 import BeautifulSoup
from test_report import results

from unidelta.report import archive, claims, claims_archived, figures, tables
from unidelta.report.archive import Archived
from unidelta.stages import landscapes
from unidelta.stages.landscapes import Plane

NAN = float("nan")


@pytest.mark.parametrize("values, threshold, said", [
    ([(90.0, 5.0), (86.0, 5.0)], 80, claims.HOLDS), ([(90.0, 5.0), (84.0, 5.0)], 80, claims.OPEN), ([(90.0, 5.0), (70.0, 5.0)], 80, claims.FAILS),
    ([(84.0, 5.0), (70.0, 5.0)], 80, claims.FAILS), ([(95.0, NAN)], 80, claims.OPEN), ([(85.0, 5.0)], 80, claims.OPEN)])
def test_a_threshold_needs_the_whole_interval(values, threshold, said):
    assert claims.verdict(values, threshold) == said


def plane(*above: int) -> Plane:
    """A 5 x 5 plane where delta i is at 90 % on its first above[i] cells and at 10 % elsewhere."""
    cells = torch.full((3, 25), 10.0)
    for i, n in enumerate(above):
        cells[i, :n] = 90.0
    return Plane("glue-sst2", cells.view(3, 5, 5), torch.arange(5.0), torch.zeros(3, 2), ["landscape/x"])


def test_shares_of_a_plane():
    share = plane(5, 10, 20).share(80)
    assert [share[k] for k in ("adapter", "lora", "prefix")] == pytest.approx([20, 40, 80])
    assert share["all"] == pytest.approx(20) and share["mean"] == pytest.approx(20), "two of three at 90 % give a mean of 63 %"


def test_overlap_is_judged_against_the_smallest_region():
    assert claims.overlap({"a": plane(5, 10, 20)}).verdict == claims.HOLDS, "the smallest region lies within the others"
    apart = plane(5, 10, 20)
    apart.relative[0] = apart.relative[0].flip(0, 1)  # the adapter's region is moved to the other corner
    assert claims.overlap({"a": apart}).verdict == claims.FAILS
    none = claims.overlap({"a": plane(0, 10, 20)})
    assert none.verdict == claims.FAILS and "a delta has no such region" in none.ours


def test_recovery_and_tuning():
    good = results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0]), "glue-mrpc": (80.0, [76.0, 77.0, 78.0])})
    assert claims.recovery(good).verdict == claims.HOLDS and "Adapter 88.5" in claims.recovery(good).published
    assert claims.tuning(good).verdict == claims.HOLDS and "training solution as it is" in claims.tuning(good).ours
    poor = results({"rotten_tomatoes": (90.0, [40.0, 41.0, 42.0])})
    assert claims.recovery(poor).verdict == claims.FAILS and claims.tuning(poor).verdict == claims.FAILS, "the training solution alone gives 60"
    assert claims.guessing(good).verdict == claims.HOLDS and claims.guessing(poor).verdict == claims.FAILS, "chance is 50"
    assert claims.transferred(good).ours == "100.0 ± 0.0 % of 2 tasks" and claims.transferred(poor).verdict == claims.FAILS
    assert claims.transferred(good).published == "6 of 11 tasks (55 %)"


def test_symmetry_is_refuted_by_one_pair_of_directions():
    same = results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0])})
    assert claims.asymmetry(same).verdict == claims.FAILS
    frame = same.frame
    frame.loc[(frame.source == "prefix") & (frame.target == "adapter"), "sub"] -= 30
    assert claims.asymmetry(same).verdict == claims.HOLDS and "Adapter to Prefix" in claims.asymmetry(same).ours


def archived(scores: dict, folder="x", **options) -> Archived:
    made = results(scores, **options)
    return Archived(made.run, made.seeds, made.frame, made.ids, "backbone `ffffffffffffffff`", folder)


GOOD = {"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0]), "superglue-wsc": (90.0, [80.0, 81.0, 82.0])}
POOR = {"rotten_tomatoes": (90.0, [50.0, 51.0, 52.0]), "superglue-wsc": (90.0, [50.0, 51.0, 52.0])}


def test_the_table_has_every_claim_and_says_what_was_not_run():
    base = results(GOOD)
    found = [*claims.every(base, {"rotten_tomatoes": plane(5, 10, 20)}), *claims_archived.every(base, {})]
    rows = BeautifulSoup(claims.table(found).data, "html.parser").find_all("tr")
    assert len(rows) == len(found) + 1 == 19
    assert [c.verdict for c in found].count(claims.NOT_RUN) == 12 and all(c.rule and c.published and c.text for c in found)


def test_studies_of_another_backbone_are_not_judged_by(monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    base = results(GOOD)
    archive.save({"as it is": base}, "multi_task")
    assert set(claims_archived.judged_by(base)) == {"multi_task"}
    base.run.backbone.fingerprint = "0" * 16
    assert claims_archived.judged_by(base) == {}


def test_many_training_tasks_against_one(monkeypatch):
    poor, good = results(POOR), archived(GOOD)
    claim = claims_archived.more_tasks(poor, good)
    assert claim.verdict == claims.HOLDS and "33.3 ± 0.0 points" in claim.ours and claim.published == "64.9 single-task, 92.2 multi-task"
    assert claims_archived.more_tasks(good, archived(POOR)).verdict == claims.FAILS and claims_archived.more_tasks(poor, None).verdict == claims.NOT_RUN
    assert claims_archived.recovery(good).verdict == claims.HOLDS and claims_archived.recovery(archived(POOR)).verdict == claims.FAILS
    assert claims_archived.transferred(good).verdict == claims.HOLDS and claims_archived.transferred(good).published == "8 of 9 tasks at 78 or more"
    assert claims_archived.prefix_behind(good).verdict != claims.HOLDS
    good.frame.loc[good.frame.target == "prefix", "sub"] -= 20
    assert claims_archived.prefix_behind(good).verdict == claims.HOLDS and "11.3 points less" in claims_archived.prefix_behind(good).published


def test_answers_of_a_sentence_are_judged_row_by_row():
    good, poor = (archived({"eli5-asks": (70.0, [60.0, 61.0, 62.0]), "eli5-askh": (70.0, each)}) for each in ([60.0, 61.0, 62.0], [9.0, 9.5, 10.0]))
    assert claims_archived.long_answers(good).verdict == claims.HOLDS and claims_archived.long_answers(poor).verdict == claims.FAILS
    assert "eli5-askh 86.4" in claims_archived.long_answers(good).published and "eli5-askh 13.6" in claims_archived.long_answers(poor).ours


def test_a_study_stands_beside_results_of_the_same_settings_only(monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    base = results(GOOD)
    assert archive.beside(base, "long_answers") is None
    archive.save({"as it is": base}, "long_answers")
    assert archive.beside(base, "long_answers").ids == base.ids and archive.beside(archive.load("long_answers")["as it is"], "long_answers")
    base.seeds.pop()
    assert archive.beside(base, "long_answers") is None


def test_dimensions_and_pipelines_within_five_points():
    near = {task: (ori, [s + 1 for s in each]) for task, (ori, each) in GOOD.items()}
    assert claims_archived.dimensions({"as it is": archived(GOOD), "y=8": archived(near)}).verdict == claims.HOLDS
    assert claims_archived.dimensions({"as it is": archived(GOOD), "y=8": archived(near), "y=16": archived(POOR)}).verdict == claims.FAILS
    assert claims_archived.dimensions({}).verdict == claims.NOT_RUN
    assert claims_archived.more_dimensions(archived(POOR), archived(GOOD)).verdict == claims.HOLDS
    assert claims_archived.simpler(results(GOOD), archived(near)).verdict == claims.HOLDS
    assert claims_archived.simpler(results(GOOD), archived(POOR)).verdict == claims.FAILS


def test_deltas_come_close_to_fine_tuning_or_not():
    every = archived(GOOD, kinds=("adapter", "lora", "prefix", "finetune"))
    assert claims_archived.comparable(every).verdict == claims.HOLDS and "points over 2 tasks" in claims_archived.comparable(every).ours
    every.frame.loc[every.frame.target == "prefix", "ori"] -= 10
    assert claims_archived.comparable(every).verdict == claims.FAILS


def test_the_slowest_is_judged_by_the_logs(monkeypatch):
    def log(late):
        curve = [[4.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0]]
        return [{"step": 4, "parts": {f"{part}.{k}": curve[late and k == "prefix"] for part in ("task", "dist") for k in ("adapter", "lora", "prefix")}}]
    for late, said in ((True, claims.HOLDS), (False, claims.OPEN)):
        monkeypatch.setattr(Archived, "logs", lambda self, stage, late=late: [log(late)] * 3)
        claim = claims_archived.slowest(archived(GOOD))
        assert claim.verdict == said and ("50.0 ± 0.0 %" in claim.ours) == late


def test_a_random_subspace_may_do_as_well():
    many = results(GOOD)
    assert many.own.random.max() < 80 and claims_archived.beyond_random(many).verdict == claims.HOLDS
    many.frame["random"] = many.frame["sub"] + 20
    assert claims_archived.beyond_random(many).verdict == claims.FAILS


@pytest.mark.parametrize("scores, said", [([80.0, 81.0, 82.0], claims.HOLDS), ([50.0, 51.0, 52.0], claims.FAILS), ([60.0, 75.0, 90.0], claims.OPEN)])
def test_fine_tuning_joins_by_the_directions_it_takes_part_in(scores, said):
    fine = results({"rotten_tomatoes": (90.0, scores)}, kinds=("adapter", "lora", "prefix", "finetune"))
    without = (fine.frame.source != "finetune") & (fine.frame.target != "finetune")
    fine.frame.loc[without, "sub"] = 0.0  # what goes on among the deltas is of no account
    found = claims_archived.joining(fine)
    assert found.verdict == said and "rotten_tomatoes" in found.ours and "95.0 to 101.2" in found.published
    assert found in claims_archived.every(results(GOOD), {"finetune": {"as it is": fine}})


def test_the_plane_is_drawn_archived_and_can_be_touched():
    planes = {"rotten_tomatoes": plane(5, 10, 20), "scitail": plane(25, 25, 25)}
    assert [a.get_title() for a in figures.landscape(planes).axes[:2]] == ["rotten_tomatoes (from glue-sst2)", "scitail (from glue-sst2)"]
    boxes = BeautifulSoup(figures.landscape_to_touch(planes["rotten_tomatoes"]).data, "html.parser").find_all("rect")
    assert len(boxes) == 25 and "mean 90 % of E_ori (Adapter 90 %, LoRA 90 %, Prefix 90 %)" in boxes[0].title.text
    again = landscapes.from_frame(landscapes.to_frame(planes), ["landscape/x"])
    assert all((again[t].train, again[t].ids) == (of.train, of.ids) for t, of in planes.items()) and list(again) == list(planes)
    assert all(torch.equal(getattr(again[t], part).float(), getattr(of, part)) for t, of in planes.items() for part in ("relative", "axis", "points"))
    shares = BeautifulSoup(tables.overlap(planes).data, "html.parser").find_all("tr")[1].find_all("td")
    assert [c.text for c in shares[1:]] == ["20.0", "40.0", "80.0", "20.0", "20.0"]
