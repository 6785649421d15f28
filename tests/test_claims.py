"""Verdicts follow from their rules, on scores made for each case; shares of a plane by hand."""

import pytest
import torch
from bs4 import BeautifulSoup
from test_report import results

from unidelta import claims, figures, tables
from unidelta.landscape import Plane

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


def test_the_table_has_every_claim_and_says_what_was_not_run():
    found = claims.every(results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0])}), {"rotten_tomatoes": plane(5, 10, 20)})
    rows = BeautifulSoup(claims.table(found).data, "html.parser").find_all("tr")
    assert len(rows) == len(found) + 1 == 9
    assert [c.verdict for c in found].count(claims.NOT_RUN) == 2 and all(c.rule and c.published and c.text for c in found)


@pytest.mark.parametrize("scores, said", [([80.0, 81.0, 82.0], claims.HOLDS), ([50.0, 51.0, 52.0], claims.FAILS), ([60.0, 75.0, 90.0], claims.OPEN)])
def test_fine_tuning_joins_by_the_directions_it_takes_part_in(scores, said):
    fine = results({"rotten_tomatoes": (90.0, scores)}, kinds=("adapter", "lora", "prefix", "finetune"))
    without = (fine.frame.source != "finetune") & (fine.frame.target != "finetune")
    fine.frame.loc[without, "sub"] = 0.0  # what goes on among the deltas is of no account
    found = claims.joining(fine)
    assert found.verdict == said and "rotten_tomatoes" in found.ours and "95.0 to 101.2" in found.published
    assert claims.every(results({"rotten_tomatoes": (90.0, scores)}), {"rotten_tomatoes": plane(5, 10, 20)}, fine)[-1] == found


def test_the_plane_is_drawn_and_can_be_touched():
    planes = {"rotten_tomatoes": plane(5, 10, 20), "scitail": plane(25, 25, 25)}
    assert [a.get_title() for a in figures.landscape(planes).axes[:2]] == ["rotten_tomatoes (from glue-sst2)", "scitail (from glue-sst2)"]
    boxes = BeautifulSoup(figures.landscape_to_touch(planes["rotten_tomatoes"]).data, "html.parser").find_all("rect")
    assert len(boxes) == 25 and "mean 90 % of E_ori (Adapter 90 %, LoRA 90 %, Prefix 90 %)" in boxes[0].title.text
    shares = BeautifulSoup(tables.overlap(planes).data, "html.parser").find_all("tr")[1].find_all("td")
    assert [c.text for c in shares[1:]] == ["20.0", "40.0", "80.0", "20.0", "20.0"]
