"""Verdicts follow from their rules, on scores made for each case; shares of a plane by hand."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from bs4 import BeautifulSoup
from test_report import FREE, grid, results

from unidelta import paper
from unidelta.report import archive, claims, claims_archived, verdicts
from unidelta.report import planes as planes_of
from unidelta.report.archive import Archived
from unidelta.report.claims_planes import compared, in_common, near, overlap, wider
from unidelta.report.claims_planes import every as planes_claims
from unidelta.report.planes import Plane, from_frame, to_frame

NAN = float("nan")


@pytest.mark.parametrize("values, threshold, said", [
    ([(90.0, 5.0), (86.0, 5.0)], 80, verdicts.HOLDS), ([(90.0, 5.0), (84.0, 5.0)], 80, verdicts.OPEN),
    ([(90.0, 5.0), (70.0, 5.0)], 80, verdicts.FAILS), ([(84.0, 5.0), (70.0, 5.0)], 80, verdicts.FAILS),
    ([(95.0, NAN)], 80, verdicts.OPEN), ([(85.0, 5.0)], 80, verdicts.OPEN),
    ([(74.0, 5.0)], 80, verdicts.FAILS), ([(74.0, 5.0), (90.0, 5.0)], 80, verdicts.OPEN)])
def test_a_threshold_needs_the_whole_interval_and_a_failure_among_several_a_wider_one(values, threshold, said):
    assert verdicts.verdict(values, threshold, 3) == said, "two of three seeds at once: 5.0 becomes 7.2"


def plane(*above: int, train: str = "glue-sst2") -> Plane:
    """Make a 5 x 5 plane on which delta i is at 90 % on its first above[i] cells and at 10 % elsewhere."""
    cells = torch.full((3, 25), 10.0)
    for i, n in enumerate(above):
        cells[i, :n] = 90.0
    return Plane(train, cells.view(3, 5, 5), torch.arange(5.0), torch.zeros(3, 2), ["landscape/x"])


def test_shares_of_a_plane():
    share = plane(5, 10, 20).share(80)
    assert [share[k] for k in ("adapter", "lora", "prefix")] == pytest.approx([20, 40, 80])
    assert share["all"] == pytest.approx(20)
    assert share["mean"] == pytest.approx(20), "two of three at 90 % give a mean of 63 %"


def test_overlap_is_judged_against_the_smallest_region():
    assert overlap({"a": plane(5, 10, 20)}).verdict == verdicts.HOLDS, "the smallest region lies within the others"
    apart = plane(5, 10, 20)
    apart.relative[0] = apart.relative[0].flip(0, 1)  # the adapter's region is moved to the other corner
    assert overlap({"a": apart}).verdict == verdicts.FAILS
    none = overlap({"a": plane(0, 10, 20)})
    assert none.verdict == verdicts.OPEN
    assert "(Adapter: nowhere)" in none.ours
    assert overlap({"a": plane(0, 10, 20), "b": apart}).verdict == verdicts.FAILS


def said(judge, found) -> str:
    return verdicts.claim("", "", found, judge).verdict


def test_recovery_tuning_and_guessing():
    good = results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0]), "glue-mrpc": (80.0, [76.0, 77.0, 78.0])})
    poor = results({"rotten_tomatoes": (90.0, [40.0, 41.0, 42.0])})
    tuned, guessed = claims.surplus("own", claims.LEFT), claims.surplus("own", ("chance", "majority"))
    for judge in (claims.recovered, tuned, guessed, claims.widely(80.0, 50.0)):
        assert said(judge, good) == verdicts.HOLDS
        assert said(judge, poor) == verdicts.FAILS, "the training solution alone gives 60, chance 50"
    assert tuned(good)[0].startswith("Adapter ")
    assert tuned(good)[0].endswith(" points over training solution as it is")
    recovery, _, transferred = claims.every(good)[:3]
    assert recovery.published == ("Adapter 88.5, LoRA 80.9, Prefix 85.3; on the 2 of its 11 rows counted here: "
                                  "Adapter 93.6, LoRA 92.2, Prefix 91.2")
    assert transferred.published == "6 of 11 tasks; on the 2 of its 11 rows counted here: 1 of 2 tasks"


def test_how_many_tasks_are_reached_is_told_by_their_intervals():
    some = results({"rotten_tomatoes": (100.0, [83.0, 84.0, 85.0]), "glue-mrpc": (100.0, [79.0, 81.0, 82.0])})
    assert claims.widely(80.0, 50.0)(some)[0] == \
        "2 of 2 tasks by their means, 1 with their whole interval; at most 2 can reach the level"
    assert said(claims.widely(80.0, 50.0), some) == verdicts.OPEN
    assert said(claims.widely(76.0, 50.0), some) == verdicts.HOLDS
    assert said(claims.widely(88.0, 50.0), some) == verdicts.FAILS
    assert said(claims.widely(80.0, 40.0), some) == verdicts.HOLDS


def test_which_delta_is_ahead_and_which_is_a_poorer_source():
    even = results(GOOD)
    assert said(claims.ahead, even) == said(claims.poorer_source, even) == verdicts.OPEN
    assert claims.poorer_source(even)[0] == "+0.0 ± 0.0 points, the others minus the adapter"
    even.frame.loc[(even.frame.source == "adapter") & (even.frame.target == "adapter"), "sub"] += 9
    even.frame.loc[(even.frame.source == "adapter") & (even.frame.target != "adapter"), "sub"] -= 9
    assert said(claims.ahead, even) == said(claims.poorer_source, even) == verdicts.HOLDS
    assert claims.ahead(even)[0].startswith("+10.0 ± 0.0 points against LoRA")
    assert claims.poorer_source(even)[0] == "+10.0 ± 0.0 points, the others minus the adapter"
    published = {c.text[:22]: c.published for c in claims.every(even)}
    assert published["The adapter recovers m"].startswith(
        "+7.6 points against LoRA; +3.2 points against Prefix; on the 2 of its 11 rows")
    assert published["What the adapter finds"].startswith("+2.5 points, the others minus the adapter"), \
        "(85.0 + 81.0 + 85.3 + 82.6) / 4 - (81.7 + 80.2) / 2 of the averages"


def test_sources_are_alike_if_all_differences_are_small():
    even = results(GOOD)
    assert said(claims.alike_as_sources, even) == verdicts.HOLDS
    assert claims.alike_as_sources(even)[0].startswith("Adapter minus LoRA +0.0 ± 0.0; ")
    even.frame.loc[(even.frame.source == "prefix") & (even.frame.seed == 0), "sub"] -= 60
    assert said(claims.alike_as_sources, even) == verdicts.OPEN
    even.frame.loc[(even.frame.source == "prefix") & (even.frame.seed != 0), "sub"] -= 60
    assert said(claims.alike_as_sources, even) == verdicts.FAILS
    assert claims.by_source(paper.table(2)[paper.table(2)["test"] == paper.AVERAGE]) \
        == "Adapter 81.0, LoRA 83.0, Prefix 83.9"


def test_verdicts_that_change_with_more_evidence_are_named():
    few, many = results(GOOD), results(POOR)
    before, after = claims.every(few), claims.every(many)
    said = verdicts.changes(before, after).data
    first = ("- Every delta recovers more than 80 % on average in the subspace of one training task (section 5.2.1): "
             "holds → **does not hold** (Adapter 56.7")
    assert said.startswith(first)
    assert verdicts.changes(before, before).data == "No verdict changes."


def test_no_ratio_no_share_of_tasks():
    nothing = results({"rotten_tomatoes": (0.0, [0.0, 0.0, 0.0]), "glue-mrpc": (90.0, [80.0, 81.0, 82.0])})
    assert said(claims.widely(80.0, 60.0), nothing) == verdicts.OPEN


def test_transfer_on_sentiment_is_judged_task_by_task():
    scores = {"rotten_tomatoes": (90.0, [88.0, 88.5, 89.0]), "amazon_polarity": (90.0, [60.0, 61.0, 62.0])}
    judge = claims.as_good_as_its_own(list(scores))
    assert said(judge, results(scores)) == verdicts.FAILS
    assert said(claims.as_good_as_its_own(["rotten_tomatoes"]), results(scores)) == verdicts.HOLDS
    elsewhere = [c for c in claims.every(results({"glue-mrpc": (90.0, [80.0, 81.0, 82.0])})) if "sentiment" in c.text]
    assert [c.verdict for c in elsewhere] == [verdicts.NOT_RUN]


def test_where_the_solutions_lie_and_which_region_is_wider():
    good = plane(25, 25, 25)
    assert near({"a": good}).verdict == verdicts.HOLDS
    assert near({"a": good}).ours == "a: 3 of 3"
    good.relative[[0, 2], 2, 2], good.points[1] = 10.0, torch.tensor([2.2, 1.9])
    assert near({"a": good}).verdict == verdicts.FAILS
    assert near({"a": good}).ours == "a: 2 of 3", "the second lies next to a point that is low"
    good.relative[1, 2, 2] = 70.0
    assert near({"a": good}).verdict == verdicts.OPEN
    assert near({"a": good}).ours == "a: 2 of 3 (below 80 % with its own delta, or outside the grid: LoRA)"
    far = plane(25, 25, 25)
    far.points[2] = torch.tensor([1.0, 9.0])
    assert near({"a": far}).verdict == verdicts.OPEN
    assert near({"a": far}).ours.startswith("a: 2 of 3 "), "the third lies outside the grid"
    assert {claim({}).verdict for claim in (near, wider, overlap)} == {verdicts.NOT_RUN}
    assert wider({"a": plane(5, 5, 5)}).verdict == verdicts.NOT_RUN, \
        "with one setting alone there is nothing to compare"
    assert wider({"a": plane(5, 5, 5), "b": plane(20, 20, 20, train="20 tasks")}).verdict == verdicts.OPEN, \
        "the axes have units of their own"


def test_a_gain_is_each_deltas_own():
    mixed = results(GOOD)
    mixed.frame.loc[mixed.frame.target == "prefix", "sub"] = FREE["train_solution"] - 5
    for what in ("own", "moved"):
        ours, _, known = claims.surplus(what, ["train_solution"])(mixed)
        assert known == verdicts.FAILS
        assert "Prefix -5.6 ± 0.0" in ours, "the other two make the average rise"
    nothing = results({"rotten_tomatoes": (0.0, [0.0, 0.0, 0.0])})
    assert said(claims.surplus("own", claims.LEFT), nothing) == verdicts.OPEN, "no ratio, no verdict"


def test_symmetry_is_refuted_by_one_pair_of_directions():
    same = results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0])})
    assert said(claims.asymmetric, same) == verdicts.FAILS
    frame = same.frame
    frame.loc[(frame.source == "prefix") & (frame.target == "adapter"), "sub"] -= 30
    assert said(claims.asymmetric, same) == verdicts.HOLDS
    assert "Adapter to Prefix" in claims.asymmetric(same)[0]


def archived(scores: dict, folder="x", **options) -> Archived:
    made = results(scores, **options)
    return Archived(made.run, made.seeds, made.frame, made.ids, "backbone `ffffffffffffffff`", folder)


GOOD = {"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0]), "superglue-wsc": (90.0, [80.0, 81.0, 82.0])}
POOR = {"rotten_tomatoes": (90.0, [50.0, 51.0, 52.0]), "superglue-wsc": (90.0, [50.0, 51.0, 52.0])}


def test_the_table_has_every_claim_and_says_what_was_not_run():
    base, drawn = results(GOOD), {"rotten_tomatoes": plane(5, 10, 20)}
    found = claims_archived.with_all_others(base, drawn, {})
    rows = BeautifulSoup(verdicts.table(found).data, "html.parser").find_all("tr")
    assert len(rows) == len(found) + 1 == 54
    later = [replace(c, verdict=verdicts.HOLDS, seeds=6) for c in found]
    head, *lines = grid(verdicts.table([c for c in found if c.added], later, 6))
    assert head == ["verdict", "6 seeds", "claim", "ours", "holds if"]
    assert {line[1] for line in lines} == {"holds"}
    lines = grid(verdicts.table(found, [replace(c, seeds=3) for c in found], 6))[1:]
    assert {line[1] for line in lines} == {"–"}, "nothing was run with six seeds"
    assert "paper" not in lines[0][2][-15:]
    assert [c.verdict for c in found].count(verdicts.NOT_RUN) == 1 + 36
    assert all(c.rule and c.published and c.text for c in found)
    assert len({c.text for c in found}) == len(found), "no claim stands there twice"


def judged(base, **studies) -> list[verdicts.Claim]:
    """Return the archived claims that can be judged by the given studies (name -> variant -> results)."""
    return [c for c in claims_archived.every(base, studies) if c.verdict != verdicts.NOT_RUN]


def of(found: list[verdicts.Claim], words: str) -> verdicts.Claim:
    claim, = (c for c in found if words in c.text)
    return claim


def test_studies_of_another_backbone_are_not_judged_by(monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    base = replace(results(GOOD), ids=[])
    archive.save({"unchanged": base}, "multi_task")
    assert set(claims_archived.judged_by(base)) == {"multi_task"}
    assert set(claims_archived.judged_by(replace(base, seeds=[0, 1, 2, 3]))) == {"multi_task"}, "seeds may differ"
    for changes in ({"source": "mirror"}, {"y": 16}, {"cap": 5}):
        other = SimpleNamespace(**vars(base.run) | {"profile": replace(base.run.profile, **changes)})
        assert claims_archived.judged_by(replace(base, run=other)) == {}, changes
    base.run.backbone.fingerprint = "0" * 16
    assert claims_archived.judged_by(base) == {}


def test_more_seeds_stand_in_for_the_same_variants_of_other_studies():
    few, many, six, wide = (archived(GOOD, folder=name) for name in ("few", "many", "six", "wide"))
    found = {"multi_task": {"unchanged": few, "length fitted": few},
             "dimension": {"unchanged": few, "y=8": few, "y=16": few},
             "more_seeds": {"unchanged": six, "multi_task: unchanged": many, "dimension: y=8": wide}}
    now = claims_archived.with_more_seeds(found)
    assert now == {"multi_task": {"unchanged": many, "length fitted": few},
                   "dimension": {"unchanged": six, "y=8": wide, "y=16": few}}
    assert found["multi_task"]["unchanged"] is few, "what was given stays"
    assert archive.part_of(found["more_seeds"], "dimension") == {"y=8": wide}


def test_many_training_tasks_against_one(monkeypatch):
    monkeypatch.setattr(Archived, "logs", lambda self, stage: [log(False)] * 3)
    good, poor = (judged(results(base), multi_task={"unchanged": archived(many)})
                  for base, many in ((POOR, GOOD), (GOOD, POOR)))
    assert len(good) == len(poor) == 14
    wsc = of(good, "transfer on WSC")
    assert wsc.verdict == verdicts.HOLDS
    assert "33.3 ± 0.0 points; tuned in a random subspace +0.0 ± 0.0, because y" in wsc.ours
    assert wsc.published == "64.9 single-task, 92.2 multi-task"
    for words in ("transfer on WSC", "the deltas recover more", "around 80 %"):
        assert of(good, words).verdict == verdicts.HOLDS, words
        assert of(poor, words).verdict == verdicts.FAILS, words
    assert of(good, "around 80 %").published == (
        "8 of 9 tasks at 78 or more; on the 2 of its 9 rows counted here: 2 of 2 tasks at 78 or more")
    assert of(good, "symmetric").published == "Prefix to Adapter 90.9, Adapter to Prefix 76.5"
    elsewhere = judged(results({"glue-mrpc": GOOD["rotten_tomatoes"]}),
                       multi_task={"unchanged": archived({"rotten_tomatoes": GOOD["rotten_tomatoes"]})})
    assert not [c for c in elsewhere if "WSC" in c.text], "a task that only one setting has is not compared"


def test_a_task_that_is_transferred_to_poorly():
    judge = claims_archived.stays_below("rotten_tomatoes")
    assert said(judge, archived(POOR)) == verdicts.HOLDS
    assert said(judge, archived(GOOD)) == verdicts.FAILS
    assert judge(archived(POOR))[0] == "56.7 ± 2.8 (all 2 tasks: 56.7)"


def test_the_prefix_is_behind_or_not():
    good = archived(GOOD)
    assert said(claims_archived.prefix_behind, good) != verdicts.HOLDS
    good.frame.loc[good.frame.target == "prefix", "sub"] -= 20
    assert said(claims_archived.prefix_behind, good) == verdicts.HOLDS


def test_answers_of_a_sentence_are_judged_row_by_row():
    good, poor = (archived({"eli5-asks": (70.0, [60.0, 61.0, 62.0]), "eli5-askh": (70.0, each)})
                  for each in ([60.0, 61.0, 62.0], [9.0, 9.5, 10.0]))
    (first,), (second,) = (judged(results(GOOD), long_answers={"unchanged": long}) for long in (good, poor))
    assert (first.verdict, second.verdict) == (verdicts.HOLDS, verdicts.FAILS)
    assert "eli5-askh 86.4" in first.published
    assert "eli5-askh 13.6" in second.ours


def test_a_study_stands_beside_results_of_the_same_settings_only(monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    base = replace(results(GOOD), ids=[])
    assert archive.beside(base, "long_answers") is None
    archive.save({"unchanged": base}, "long_answers")
    assert archive.beside(base, "long_answers").ids == base.ids
    assert archive.beside(archive.load("long_answers")["unchanged"], "long_answers")
    base.seeds.pop()
    assert archive.beside(base, "long_answers") is None


def test_dimensions_and_pipelines_within_five_points():
    near = {task: (ori, [s + 1 for s in each]) for task, (ori, each) in GOOD.items()}
    few, same = {"unchanged": archived(GOOD)}, {"unchanged": archived(GOOD), "y=8": archived(near)}
    assert judged(results(GOOD), dimension=few) == []
    assert [c.verdict for c in judged(results(GOOD), dimension=same)] == [verdicts.HOLDS]
    apart, = judged(results(GOOD), dimension=same | {"y=16": archived(POOR)})
    assert apart.verdict == verdicts.FAILS
    many, = judged(results(GOOD), dimension={
        "many tasks, y=20": archived(POOR), "many tasks, y=100": archived(GOOD)})
    assert many.verdict == verdicts.HOLDS
    assert "in a random subspace 0.0 ± 0.0" in many.ours
    for scores, expected in ((near, verdicts.HOLDS), (POOR, verdicts.FAILS)):
        simple = archived(scores)
        simple.frame["shared_vector"] = 70.0
        adds, adds_many, beats, _, own, moved = judged(results(GOOD), simplified={"single": simple, "multi": simple})
        assert beats.verdict == verdicts.HOLDS, "10 percent in a random subspace"
        assert adds.verdict == adds_many.verdict == (verdicts.FAILS if scores is POOR else verdicts.HOLDS)
        assert "shared training vector" in adds.ours
        assert own.verdict == moved.verdict == expected, \
            "with many tasks there is no main pipeline to compare with here"
        assert own.published == \
            "Table 6 minus Table 1: -3.1 points; on the 2 of its 11 rows counted here: +3.2 points"
        assert moved.published.startswith("Table 8 minus Table 2: +0.7 points")


def test_deltas_come_close_to_fine_tuning_or_not():
    """Only Table 10's rows that every method learns are counted. Long answers are judged apart."""
    every = archived(GOOD | {"ai2_arc": (20.0, 3 * [20.0]), "glue-mrpc": (90.0, 3 * [80.0]),
                             "eli5-asks": (90.0, 3 * [80.0])},
                     kinds=("adapter", "lora", "prefix", "finetune"))
    every.frame.loc[(every.frame.task == "glue-mrpc") & (every.frame.target == "finetune"), "ori"] = 52.0
    every.frame.loc[(every.frame.task == "eli5-asks") & (every.frame.target != "finetune"), "ori"] = 70.0
    short, long = judged(results(GOOD), absolute={"unchanged": every})
    assert short.verdict == verdicts.HOLDS
    assert "points over 2 of 3 tasks" in short.ours
    assert "points over 9 tasks" in short.published
    assert long.verdict == verdicts.FAILS
    assert "Adapter -20.0 ± 0.0" in long.ours
    assert "points over 2 tasks" in long.published
    every.frame.loc[every.frame.target == "prefix", "ori"] -= 10
    assert judged(results(GOOD), absolute={"unchanged": every})[0].verdict == verdicts.FAILS


def log(late):
    curve = [[4.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0]]
    return [{"step": 4, "parts": {f"{part}.{k}": curve[late and k == "prefix"]
                                  for part in ("task", "dist") for k in ("adapter", "lora", "prefix")}}]


def test_the_pipelines_are_compared_on_the_tasks_of_both():
    few, more = results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0])}), results(GOOD)
    assert set(claims_archived.within(more, few).frame.task) == {"rotten_tomatoes"}
    assert claims_archived.within(few, results({"qasc": (90.0, [80.0, 81.0, 82.0])})) is None
    assert claims_archived.within(None, few) is None


def test_where_nothing_is_about_several_tasks_it_is_said_so():
    assert verdicts.tally_leaning([]).data == "No verdict is about several unseen tasks."
    assert verdicts.leaning([]).data == "No verdict leans on a task."
    assert "planes" not in verdicts.tally([]).data


def test_long_rows_are_not_judged_with_a_choice_of_the_others(monkeypatch):
    base = results(GOOD)
    of = {"multi_task": {"unchanged": base}, "long_answers": {"unchanged": base}}
    monkeypatch.setattr(claims_archived.archive, "names", lambda: list(of))
    monkeypatch.setattr(claims_archived.archive, "load", of.get)
    monkeypatch.setattr(claims_archived.archive, "same_settings", lambda one, other: True)
    for study in of.values():
        study["unchanged"] = SimpleNamespace(line=base.run.backbone.fingerprint)
    assert set(claims_archived.judged_by(base)) == {"multi_task"}
    monkeypatch.setattr(claims_archived, "complete", lambda results: True)
    assert set(claims_archived.judged_by(base)) == set(of)


def test_the_slowest_is_judged_by_the_logs(monkeypatch):
    for late, expected in ((True, verdicts.HOLDS), (False, verdicts.OPEN)):
        monkeypatch.setattr(Archived, "logs", lambda self, stage, late=late: [log(late)] * 3)
        ours, _, known = claims_archived.slowest(archived(GOOD))
        assert known == expected
        assert ("50.0 ± 0.0 %" in ours) == late


@pytest.mark.parametrize("control", ["random", "scaled_solution"])
def test_a_control_that_tunes_may_do_as_well(control):
    many, over = results(GOOD), claims.surplus("own", [control])
    assert many.own[control].max() < 80
    assert said(over, many) == verdicts.HOLDS
    many.frame[control] = many.frame["sub"] + 20
    assert said(over, many) == verdicts.FAILS


@pytest.mark.parametrize("scores, expected", [
    ([80.0, 81.0, 82.0], verdicts.HOLDS), ([50.0, 51.0, 52.0], verdicts.FAILS), ([60.0, 75.0, 90.0], verdicts.OPEN)])
def test_fine_tuning_joins_by_the_directions_it_takes_part_in(scores, expected):
    fine = results({"rotten_tomatoes": (90.0, scores)}, kinds=("adapter", "lora", "prefix", "finetune"))
    fine.frame[["shared_vector", "scaled_vector"]] = 79.0
    without = (fine.frame.source != "finetune") & (fine.frame.target != "finetune")
    fine.frame.loc[without, "sub"] = 0.0  # directions among the deltas do not count
    joins, inferior, adds, lengthens, sent, longer = judged(results(GOOD), finetune={"unchanged": fine})
    assert inferior.verdict == verdicts.FAILS
    assert inferior.published == "+4.2 points to it and +0.4 from it, among the deltas minus with fine-tuning", \
        "the deltas send each other nothing here"
    assert joins.verdict == expected
    assert "rotten_tomatoes" in joins.ours
    assert "95.0 to 101.2" in joins.published
    assert adds.verdict == sent.verdict == verdicts.FAILS
    assert "points over shared training vector as it is" in adds.ours
    assert lengthens.verdict == longer.verdict == verdicts.FAILS
    assert "points over shared training vector, length fitted" in longer.ours


def test_the_plane_is_drawn_archived_and_can_be_touched():
    planes = {"rotten_tomatoes": plane(5, 10, 20), "scitail": plane(25, 25, 25)}
    assert [a.get_title() for a in planes_of.figure(planes).axes[:2]] == [
        "rotten_tomatoes (from glue-sst2)", "scitail (from glue-sst2)"]
    far = replace(planes["scitail"], points=torch.tensor([[0.0, 0.0], [9.0, 0.0], [1.0, 7.0]]))
    assert {(a.get_xlim(), a.get_ylim()) for a in planes_of.figure({"scitail": far}).axes[:1]} \
        == {((-0.5, 4.5), (-0.5, 4.5))}, "the grid alone"
    boxes = BeautifulSoup(planes_of.to_touch(planes["rotten_tomatoes"]).data, "html.parser").find_all("rect")
    assert len(boxes) == 25
    assert "mean 90 % of E_ori (Adapter 90 %, LoRA 90 %, Prefix 90 %)" in boxes[0].title.text
    again = from_frame(to_frame(planes), ["landscape/x"])
    assert all((again[t].train, again[t].ids) == (of.train, of.ids) for t, of in planes.items())
    assert list(again) == list(planes)
    assert all(torch.equal(getattr(again[t], part).float(), getattr(of, part))
               for t, of in planes.items() for part in ("relative", "axis", "points"))
    assert planes_of.outside({"scitail": far}) == " (outside the grid: LoRA and Prefix on scitail)"
    assert planes_of.outside(planes) == ""
    shares = BeautifulSoup(planes_of.overlap(planes).data, "html.parser").find_all("tr")[1].find_all("td")
    assert [c.text for c in shares[1:]] == ["20.0", "40.0", "80.0", "20.0", "20.0"]


def of_seeds(*drawn: dict[str, Plane]) -> Archived:
    """Return the shares of the planes of each seed, as the study `more_planes` archives them."""
    frame = planes_of.shares(dict(enumerate(drawn)))
    return Archived(SimpleNamespace(), list(range(len(drawn))), frame, [], "Profile x", "more_planes/unchanged")


def test_what_regions_have_in_common_is_counted_where_each_delta_has_one():
    moved = plane(10, 10, 20)
    moved.relative[0] = moved.relative[0].flatten().roll(6).view(5, 5)  # 4 of its 10 cells are left in common
    seeds = [{"scitail": plane(5, 10, 20), "dream": moved}, {"scitail": plane(0, 10, 20), "dream": moved}]
    results = of_seeds(*seeds)
    assert planes_of.common(results.frame).tolist() == pytest.approx([100, 40, NAN, 40], nan_ok=True)
    rows = [[c.text for c in row.find_all("td")]
            for row in BeautifulSoup(planes_of.table(results.frame).data, "html.parser").find_all("tr")[1:]]
    assert [row[0] for row in rows] == ["scitail", "dream", "Avg."]
    assert [row[-1] for row in rows] == ["1 of 2", "2 of 2", "3 of 4"]
    assert rows[0][-2] == "100.0", "of one seed: no interval"
    assert rows[1][-2].split("\xa0") == ["40.0", "±", "0.0"]
    assert rows[0][1].startswith("10.0"), "the adapter's own region, 20 % of one plane and nothing of the other"
    three = of_seeds(*seeds, {"scitail": plane(5, 10, 20), "dream": moved}).frame
    shown = BeautifulSoup(planes_of.table(three).data, "html.parser").find("td", string="2 of 3")
    assert shown.find_previous("td").text == "100.0", "a seed is left out: no interval"


def test_regions_have_more_than_half_of_the_smallest_in_common():
    alike, apart_ = {"scitail": plane(5, 10, 20)}, {"scitail": plane(5, 10, 20)}
    apart_["scitail"].relative[0] = apart_["scitail"].relative[0].flip(0, 1)
    assert said(in_common, of_seeds(alike, alike, alike)) == verdicts.HOLDS
    assert said(in_common, of_seeds(apart_, apart_, apart_)) == verdicts.FAILS
    assert said(in_common, of_seeds(alike, alike, apart_)) == verdicts.OPEN
    nowhere = of_seeds(*3 * [{"scitail": plane(0, 10, 20)}])
    assert said(in_common, nowhere) == verdicts.OPEN, "nothing to compare"
    assert "over 0 of 3 planes" in in_common(nowhere)[0]
    *_, question = planes_claims({}, of_seeds(alike, alike, alike))
    assert (question.added, question.verdict, question.seeds) == (True, verdicts.HOLDS, 3)
    *_, unknown = planes_claims({})
    assert unknown.verdict == verdicts.NOT_RUN


def test_planes_of_two_settings_are_compared_plane_by_plane():
    small, large = plane(5, 10, 20), plane(10, 10, 20)
    before = of_seeds({"scitail": small, "dream": large}, {"scitail": small, "dream": large})
    after = of_seeds({"dream": large, "scitail": large}, {"dream": large, "scitail": large})
    share = {name: p.share()["all"] for name, p in (("small", small), ("large", large))}
    said_ = compared(before, after).data
    assert f"at once: {(share['large'] - share['small']) / 2:+.1f} ± 0.0 points (interval excludes zero)" in said_
    assert "(the average within a seed above 50 % of the smallest): **holds**." in said_
    assert said_.endswith("In percent of the smallest, +0.0 ± 0.0 points (interval includes zero) "
                          "against the unchanged settings.")
    moved = plane(10, 10, 20)
    moved.relative[0] = moved.relative[0].flatten().roll(6).view(5, 5)  # 4 of its 10 cells are left in common
    less = of_seeds(*2 * [{"dream": moved, "scitail": plane(0, 10, 20)}])
    assert "-60.0 ± 0.0 points (interval excludes zero) against" in compared(before, less).data, "40 % of 100 % before"
    assert "-" in compared(after, before).data.split("at once: ")[1][:2]


def test_verdicts_are_counted_apart_for_claims_questions_and_planes():
    def one(verdict, text="A claim.", rule="above 80"):
        return verdicts.Claim(text, "", "", rule, verdict)
    found = [one(verdicts.HOLDS), one(verdicts.HOLDS), one(verdicts.FAILS),
             one(verdicts.OPEN, rule="by eye (one seed)"),
             one(verdicts.FAILS, "A question (not in the paper)."), one(verdicts.FAILS, "Another (not in the paper).")]
    assert verdicts.tally(found).data == (
        "Of 4 claims: 2 hold, 1 does not hold, 1 open; among them 1 read off planes of one seed: 1 open. "
        "Of 2 questions that the paper does not ask: 2 do not hold.")


def apart(scores: dict, own: float = 0.0, moved: float = 0.0, **options):
    """Return archived results with E_sub higher by `own` points for each delta by itself, by `moved` for transfer."""
    found = archived(scores, **options)
    found.frame.loc[found.frame.source == found.frame.target, "sub"] += own
    found.frame.loc[found.frame.source != found.frame.target, "sub"] += moved
    return found


@pytest.mark.parametrize("own, moved", [(0.0, -45.0), (-45.0, 0.0)])
def test_claims_of_tuning_look_at_a_deltas_own_rows_and_those_of_transfer_at_transfer(own, moved):
    scores = {"rotten_tomatoes": (90.0, [89.0, 90.0, 91.0]), "amazon_polarity": (90.0, [89.0, 90.0, 91.0])}
    said = {c.text: c.verdict for c in claims.every(apart(scores, own, moved))}
    for begins, what in (
            ("Every delta recovers", own), ("A solution found with", moved), ("Transfer recovers more", moved),
            ("On sentiment", moved), ("Tuning in the subspace adds to what", own),
            ("Tuning in the subspace adds to the training", own), ("On average over the tasks, what", own),
            ("A transferred vector adds", moved), ("A transferred vector does more than the other delta's", moved)):
        (text, verdict), = ((t, v) for t, v in said.items() if t.startswith(begins))
        assert verdict == (verdicts.FAILS if what else verdicts.HOLDS), text
    low = apart(scores, own, moved)
    low.frame["random"] = 70.0
    assert claims.transfers(low)[2].verdict == (verdicts.FAILS if moved else verdicts.HOLDS)


def test_rows_with_long_answers_count_where_the_papers_averages_have_them(monkeypatch):
    long = results({"eli5-asks": (90.0, 3 * [80.0])})
    told = {c.text[:30]: c.ours for c in claims.every(results(GOOD), long)}
    assert told["Every delta recovers more than"].endswith("over 3 tasks (training solution, length fitted: 72.2)")
    assert told["Transfer recovers more than 80"].endswith("over 3 tasks (training solution, length fitted: 72.2)")
    assert told["A solution found with one delt"].startswith("3 of 3 tasks")
    monkeypatch.setattr(Archived, "logs", lambda self, stage: [log(False)] * 3)
    many = judged(results(GOOD), multi_task={"unchanged": archived(GOOD)},
                  long_answers={"many tasks": archived({"eli5-asks": (90.0, 3 * [80.0])})})
    assert "over 3 tasks" in of(many, "the deltas recover more").ours
    assert of(many, "around 80 %").ours.startswith("3 of 3 tasks")


def test_a_verdict_leans_on_a_task_if_it_is_another_one_without_it():
    low, high = (100.0, [20.0, 21.0, 22.0]), (100.0, [91.0, 92.0, 93.0])
    found = results({"rotten_tomatoes": high, "superglue-wsc": high, "glue-mrpc": low})
    mean = verdicts.claim("The mean.", "", found, claims.on_average("own"))
    assert (mean.verdict, mean.leans) == (verdicts.FAILS, {"glue-mrpc": verdicts.HOLDS}), "68 with all, 92 without it"
    named = verdicts.claim("Named.", "", found, claims.stays_below("glue-mrpc"), average=False)
    alone = verdicts.claim("One.", "", results({"glue-mrpc": low}), claims.on_average("own"))
    firm = verdicts.claim("Firm.", "", found, claims.surplus("own", ["chance"]))
    assert named.leans == alone.leans == firm.leans == {}
    every = [mean, named, alone, firm, verdicts.claim("None.", "", None, claims.on_average("own"))]
    assert verdicts.tally_leaning(every).data == ("Of 2 verdicts about several unseen tasks, 1 leans on one of them: "
                                                  "1 of 1 that does not hold, 0 of 1 that holds.")
    assert grid(verdicts.leaning(every)) == [["claim", "3 seeds"],
                                             ["The mean.", "does not hold holds without glue-mrpc"]]
    later = [verdicts.claim(text, "", replace(r, seeds=[0, 1, 2, 3]), claims.on_average("own"))
             for text, r in (("The mean.", results({"a": high, "b": high})), ("Firm.", found))]
    assert grid(verdicts.leaning(every, later, 4))[1:] == [
        ["The mean.", "does not hold holds without glue-mrpc", "holds"],
        ["Firm.", "holds", "does not hold holds without glue-mrpc"]]
    assert grid(verdicts.leaning([mean], later, 5))[1][2] == "–", "nothing was run with five seeds"


def test_what_lies_exactly_on_a_boundary():
    even = results({"rotten_tomatoes": (100.0, 3 * [80.0])})
    assert said(claims.widely(80.0, 50.0), even) == verdicts.HOLDS, "at the level or more"
    half = results({"rotten_tomatoes": (100.0, [83.0, 84.0, 85.0]), "glue-mrpc": (100.0, 3 * [50.0])})
    assert said(claims.widely(80.0, 50.0), half) == verdicts.FAILS, \
        "one of two tasks is no more than half, whatever the other seeds say"
    assert verdicts.differ([(2.5, 2.5)]) is False
    assert verdicts.differ([(0.0, 5.5)]) is None
    shared = plane(4, 10, 20)
    shared.relative[0] = 10.0
    shared.relative[0].view(-1)[[0, 1, 23, 24]] = 90.0
    assert overlap({"a": shared}).verdict == verdicts.FAILS, "half of the smallest region is not more than half"
    assert plane(5, 10, 20).share(90.0)["adapter"] == pytest.approx(20)


def test_three_differences_at_once_need_wider_intervals():
    """A difference of 3 points has half an interval of 2.5 alone, and of 4.4 as one of three."""
    found = results({"rotten_tomatoes": (100.0, 3 * [80.0])})
    for seed in range(3):
        found.frame.loc[(found.frame.source == "prefix") & (found.frame.seed == seed), "sub"] -= 2 + seed
    assert said(claims.alike_as_sources, found) == verdicts.OPEN
    assert "Adapter minus Prefix +3.0 ± 4.4" in claims.alike_as_sources(found)[0]
    assert said(claims.asymmetric, found) == verdicts.OPEN


def test_one_solution_outside_the_good_region_is_enough():
    good, low = plane(25, 25, 25), plane(25, 25, 25)
    # the mean there is 70 %, and 90 % at the two others
    good.relative[[0, 2], 2, 2], good.points[1] = 60.0, torch.tensor([2.0, 2.0])
    low.relative[:, 0, 0] = 10.0
    assert near({"a": good}).verdict == verdicts.FAILS
    assert near({"b": low}).verdict == verdicts.OPEN
    assert near({"a": good, "b": low}).verdict == verdicts.FAILS, "one plane that tells is enough"


def test_archived_claims_look_at_the_rows_that_they_are_about():
    moved = [gained(results(GOOD), task="superglue-wsc", many=apart(GOOD, own=own, moved=sent))
             for own, sent in ((5.0, -20.0), (-20.0, 5.0))]
    assert moved == [verdicts.FAILS, verdicts.HOLDS], "transfer on WSC"
    lower = apart(GOOD, moved=-30.0)
    assert [said(claims_archived.no_poorer(results(GOOD), what), lower) for what in ("own", "moved")] \
        == [verdicts.HOLDS, verdicts.FAILS]
    assert said(claims_archived.no_poorer(results(GOOD), "own"), apart(GOOD, own=-2.0)) == verdicts.HOLDS, \
        "two points less are no less"
    asks = apart({"eli5-asks": (70.0, [60.0, 61.0, 62.0])}, moved=-60.0)
    assert said(claims_archived.each_row, asks) == verdicts.HOLDS
    behind = archived(GOOD)
    for kind, less in (("lora", 20), ("prefix", 10)):
        behind.frame.loc[behind.frame.target == kind, "sub"] -= less
    assert said(claims_archived.prefix_behind, behind) != verdicts.HOLDS, "less than the adapter, and more than LoRA"


def gained(few, task, many) -> str:
    return said(claims_archived.more_tasks(few, task), many)


def test_dimensions_are_judged_by_whole_intervals_for_as_many_as_there_are():
    base, near, far = (archived({"rotten_tomatoes": (100.0, each)})
                       for each in (3 * [80.0], [84.0, 85.2, 82.8], [91.6, 90.0, 88.4]))
    for study, verdict in (({"y=8": near}, verdicts.OPEN), ({"y=8": far}, verdicts.FAILS),
                           ({"y=8": far, "y=16": far}, verdicts.OPEN)):
        assert said(claims_archived.dimensions(study), base) == verdict, study.keys()


def test_a_study_with_a_variant_of_another_backbone_is_not_judged_by(monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    base, other = (replace(results(GOOD), ids=[]) for _ in range(2))
    other.run.backbone.title = "`" + "0" * 16 + "`"
    archive.save({"unchanged": base, "backbone=other": other}, "multi_task")
    assert claims_archived.judged_by(base) == {}


def test_a_plane_is_drawn_with_alpha_from_left_to_right():
    one = plane(0, 0, 0)
    one.relative[:, 3, 1] = 90.0  # alpha 1, beta -1
    one = replace(one, axis=torch.arange(-2.0, 3.0), points=torch.tensor([[1.0, -1.0]] * 3))
    axis = planes_of.figure({"a": one}).axes[0]
    arrays = [c.get_array() for c in axis.collections if c.get_array() is not None]
    mean = next(a for a in arrays if a.size == 25).reshape(5, 5)
    assert (mean[1, 3], mean[3, 1]) == pytest.approx((90.0, 10.0))
    dots = [line for line in axis.lines if len(line.get_xdata()) == 1]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots] == 3 * [(1.0, -1.0)]
    svg = BeautifulSoup(planes_of.to_touch(one).data, "html.parser")
    cell, = (r for r in svg.find_all("rect") if "mean 90 %" in r.title.text)
    assert "α = 1.0, β = -1.0" in cell.title.text
    dot = svg.find("circle")
    assert float(cell["x"]) < float(dot["cx"]) < float(cell["x"]) + 16
    assert float(cell["y"]) < float(dot["cy"]) < float(cell["y"]) + 16
    assert [r["fill"] for r in svg.find_all("rect")].count(cell["fill"]) == 1


def test_what_just_reaches_a_level_can_reach_it():
    even = results({"rotten_tomatoes": (100.0, 3 * [80.0])})
    assert claims.widely(80.0, 50.0)(even)[0].endswith("at most 1 can reach the level")


def test_planes_at_their_boundaries():
    edge = plane(25, 25, 25)
    edge.points[:] = 4.0
    assert near({"a": edge}).verdict == verdicts.HOLDS, "the edge is not outside"
    level = plane(25, 25, 25)
    level.relative[:] = 80.0
    assert near({"a": level}).verdict == verdicts.HOLDS, "at 80 % or more"
    high = plane(25, 25, 0)
    high.relative[2] = 70.0
    assert wider({"a": high}).ours.startswith("a 100.0 % of the plane"), "of the mean, not of each"
    part = plane(15, 0, 25)
    part.relative[1].view(-1)[8:23] = 90.0
    seeds = of_seeds(*3 * [{"scitail": part}])
    assert in_common(seeds)[0].startswith("46.7 ± 0.0 % of the smallest, over 3 of 3 planes")
    assert in_common(seeds)[0].endswith("28.0 ± 0.0 % of the plane, over all of them")
    assert said(in_common, seeds) == verdicts.FAILS, "less than half"
