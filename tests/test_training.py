"""The training loop on small problems, followed by hand: selection, patience, what is kept, resuming after a kill."""

import logging

import pytest
import torch

from unidelta.files import load_checkpoint, save_checkpoint
from unidelta.optim import Adafactor
from unidelta.params import ParameterError
from unidelta.training import fit


class Problem:
    """K least-squares problems whose target moves with the step. Dev scores come from a script or the parameters."""

    def __init__(self, k=2, scripted=None, die_at=None, lr=0.05):
        self.tensor = torch.zeros(k, 4, 3).requires_grad_()
        self.second = torch.ones(k, 5).requires_grad_()
        self.optimizer = Adafactor([self.tensor, self.second], lr)
        self.scripted, self.die_at, self.validations, self.steps, self.rows = scripted, die_at, 0, [], list(range(k))

    def loss(self, step):
        self.steps.append(step)
        target = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        rows = torch.tensor(self.rows) + 1.0
        return (self.tensor - target).square().sum((1, 2)) * rows + (self.second - rows[:, None]).square().sum(1)

    def score(self):
        if self.validations == self.die_at:
            raise KeyboardInterrupt
        self.validations += 1
        if self.scripted:
            return [self.scripted[i][self.validations - 1] for i in self.rows]
        return (self.tensor.sum((1, 2)) / 100 + 0.5).clamp(0, 0.99).tolist()

    def drop(self, rows, tensors):
        self.rows, (self.tensor, self.second) = rows, tensors

    def fit(self, **options):
        return fit(self.optimizer, self.loss, self.score, **{"steps": 12, "every": 3} | options)


def test_the_first_best_validation_is_taken():
    problem = Problem(scripted=[[0.2, 0.7, 0.7, 0.1], [0.3, 0.3, 0.3, 0.4]])
    seen = []
    score = problem.score
    problem.score = lambda: (seen.append([t.detach().clone() for t in (problem.tensor, problem.second)]), score())[1]
    done = problem.fit()
    assert done.best_score == [0.7, 0.4]
    assert done.best_step == [6, 12]
    for i in (0, 1):
        assert torch.equal(done.best[i][0], seen[1][i][0])
        assert torch.equal(done.best[i][1], seen[3][i][1])
    assert done.kept.numel() == 0
    assert not torch.equal(seen[1][0][0], seen[2][0][0])


def test_a_score_of_zero_still_selects():
    done = Problem(scripted=[[0.0] * 4, [0.0] * 4]).fit()
    assert done.best_step == [3, 3]
    assert done.best_score == [0.0, 0.0]


def test_log_has_a_line_per_validation_with_mean_losses():
    problem = Problem(k=3)
    each, loss = [], problem.loss
    problem.loss = lambda step: (each.append(loss(step)), each[-1])[1]
    done = problem.fit(steps=8)
    assert [set(line) for line in done.log] == [{"step", "loss", "dev"}] * 3
    assert [line["step"] for line in done.log] == [3, 6, 8], "the last step is validated, whatever the interval"
    assert all(len(line["loss"]) == len(line["dev"]) == 3 for line in done.log)
    for line, part in zip(done.log, (slice(0, 3), slice(3, 6), slice(6, 8)), strict=True):
        torch.testing.assert_close(torch.tensor(line["loss"]), torch.stack(each[part]).mean(0).detach())


def test_keep_holds_every_validation_of_the_first_tensor():
    problem = Problem(k=2)
    done = problem.fit(keep=True)
    assert done.kept.shape == (4, 2, 4, 3)
    assert done.kept_scores.shape == (4, 2)
    assert torch.equal(done.kept[-1], problem.tensor.detach())
    assert not torch.equal(done.kept[0], done.kept[1])
    torch.testing.assert_close(done.kept_scores, torch.tensor([line["dev"] for line in done.log]))


def test_patience_makes_a_problem_final_and_ends_when_all_are():
    scripted = [[0.5, 0.4, 0.4, 0.9, 0.9, 0.9], [0.1, 0.2, 0.3, 0.3, 0.3, 0.9]]
    problem = Problem(scripted=scripted)
    done = problem.fit(steps=18, patience=2)
    assert done.best_score == [0.5, 0.3], "a late gain does not count once patience has run out"
    assert done.best_step == [3, 9]
    assert [line["step"] for line in done.log][-1] == 15
    assert problem.steps == list(range(15))
    assert Problem(scripted=scripted).fit(steps=18).best_score == [0.9, 0.9], "0 is patience without end"


def test_a_gain_at_an_odd_last_step_comes_too_late_as_well():
    """A settled problem may still be in the stack: here no one drops it, and the last validation is early."""
    done = Problem(scripted=[[0.5, 0.4, 0.9], [0.1, 0.2, 0.3]]).fit(steps=8, patience=1)
    assert done.best_score == [0.5, 0.3]
    assert done.best_step == [3, 8]


def test_patience_counts_from_the_floor_on():
    scripted = [[0.5, 0.4, 0.4, 0.9, 0.8, 0.8, 0.95], [0.1, 0.2, 0.2, 0.2, 0.2, 0.9, 0.9]]
    done = Problem(scripted=scripted).fit(steps=21, patience=2, floor=[0.6, 0.2])
    assert done.best_score == [0.9, 0.9]
    assert done.best_step == [12, 18], "neither is given up at its floor, the first is once it is over it"
    assert Problem(scripted=scripted).fit(steps=21, patience=2, floor=[0.4, 0.1]).best_score == [0.5, 0.2]


def test_a_perfect_score_ends_the_run_unless_all_validations_are_kept():
    scripted = [[0.5, 1.0, 1.0, 1.0], [1.0, 0.2, 0.2, 0.2]]
    done = Problem(scripted=scripted).fit()
    assert done.best_step == [6, 3]
    assert [line["step"] for line in done.log] == [3, 6]
    assert len(Problem(scripted=scripted).fit(keep=True).kept) == 4


SETTLING = [[0.5, 1.0, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4], [1.0, 0.1, 0.1, 0.1]]


def test_settled_problems_leave_the_stack_and_change_nothing_for_the_rest():
    whole, problem = Problem(k=3, scripted=SETTLING).fit(), Problem(k=3, scripted=SETTLING)
    done = problem.fit(drop=problem.drop)
    assert problem.rows == [1]
    assert problem.tensor.shape == (1, 4, 3)
    assert done.best_score == whole.best_score == [1.0, 0.4, 1.0]
    assert done.best_step == whole.best_step == [6, 12, 3]
    for a, b in zip(done.best, whole.best, strict=True):
        assert torch.equal(a, b)
    assert [line["dev"] for line in done.log] == [
        [0.5, 0.1, 1.0], [1.0, 0.2, None], [None, 0.3, None], [None, 0.4, None]]
    assert [line["loss"][1] for line in done.log] == [line["loss"][1] for line in whole.log]


@pytest.mark.parametrize("die_at", [1, 2, 3])
def test_a_run_killed_after_problems_have_left_goes_on_to_the_same_bits(tmp_path, die_at):
    problems = [Problem(k=3, scripted=SETTLING), Problem(k=3, scripted=SETTLING, die_at=die_at),
                Problem(k=3, scripted=SETTLING)]
    whole = problems[0].fit(drop=problems[0].drop)
    with pytest.raises(KeyboardInterrupt):
        problems[1].fit(drop=problems[1].drop, folder=tmp_path)
    problems[2].validations = die_at
    resumed = problems[2].fit(drop=problems[2].drop, folder=tmp_path)
    assert problems[2].steps == list(range(3 * die_at, 12))
    assert resumed.log == whole.log
    assert resumed.best_step == whole.best_step
    assert all(torch.equal(a, b) for a, b in zip(resumed.best, whole.best, strict=True))


def test_a_stack_that_cannot_shrink_begins_again_where_one_has_shrunk(tmp_path, caplog):
    """A run is killed after problems have left its stack, and then asked for compiled, when none can leave."""
    whole, killed, again = (Problem(k=3, scripted=SETTLING, die_at=at) for at in (None, 2, None))
    with pytest.raises(KeyboardInterrupt):
        killed.fit(drop=killed.drop, folder=tmp_path)
    with caplog.at_level(logging.WARNING, "unidelta"):
        done = again.fit(folder=tmp_path)
    assert "starting from the beginning" in caplog.text
    assert again.steps == list(range(12))
    assert all(torch.equal(a, b) for a, b in zip(done.best, whole.fit().best, strict=True))


@pytest.mark.parametrize("patience", [0, 1])
def test_a_problem_is_the_same_alone_and_in_company(patience):
    scripted = [[0.5, 0.4, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4]]
    both, alone = (Problem(scripted=scripted).fit(patience=patience),
                   Problem(k=1, scripted=scripted[:1]).fit(patience=patience))
    assert both.best_step[0] == alone.best_step[0] == (3 if patience else 12)
    for a, b in zip(alone.best, both.best, strict=True):
        assert torch.equal(a[0], b[0])


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("die_at", [0, 1, 3])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, keep, die_at):
    whole = Problem().fit(keep=keep)
    with pytest.raises(KeyboardInterrupt):
        Problem(die_at=die_at).fit(keep=keep, folder=tmp_path)
    again = Problem()
    resumed = again.fit(keep=keep, folder=tmp_path)
    assert again.steps == list(range(3 * die_at, 12)), "what was done before the last checkpoint is not done again"
    assert resumed.best_score == whole.best_score
    assert resumed.best_step == whole.best_step
    assert resumed.log == whole.log
    assert all(torch.equal(a, b) for a, b in zip(resumed.best, whole.best, strict=True))
    assert torch.equal(resumed.kept, whole.kept)
    assert torch.equal(resumed.kept_scores, whole.kept_scores)


def test_a_run_that_had_ended_is_not_trained_further(tmp_path):
    scripted = [[0.5, 1.0, 1.0, 1.0], [1.0, 0.2, 0.2, 0.2]]
    first = Problem(scripted=scripted).fit(folder=tmp_path)
    again = Problem(scripted=scripted)
    second = again.fit(folder=tmp_path)
    assert again.steps == []
    assert second.log == first.log
    assert second.best_step == first.best_step


def test_a_checkpoint_of_another_version_or_size_is_begun_anew(tmp_path, caplog):
    whole = Problem().fit()
    for spoil in (lambda state: state | {"unknown": 1}, lambda state: {"step": 3}):
        Problem().fit(folder=tmp_path)
        tensors, state = load_checkpoint(tmp_path)
        save_checkpoint(tmp_path, tensors, spoil(state))
        again = Problem()
        assert again.fit(folder=tmp_path).log == whole.log
        assert again.steps == list(range(12))
    Problem(k=3).fit(folder=tmp_path)
    assert Problem().fit(folder=tmp_path).log == whole.log
    told = f"the checkpoint in {tmp_path} is of another version, size or kind of stack: starting from the beginning"
    assert [m for m in caplog.messages if m.startswith("the checkpoint in")] == [told] * 4


def test_a_loss_that_is_not_finite_ends_a_training_but_not_a_grid(tmp_path):
    class Diverging(Problem):
        def loss(self, step):
            return super().loss(step) * (float("nan") if step == 4 else 1.0)
    with pytest.raises(ParameterError, match="original x: the loss is not finite at step 6; allowed: a lower learning"):
        Diverging().fit(label="original x", folder=tmp_path)
    assert load_checkpoint(tmp_path)[1]["step"] == 3, "what was sound is kept"
    assert len(Diverging().fit(keep=True).log) == 4, "of several rates one may be too high"


def test_what_is_settled_may_diverge_and_ends_nothing():
    """Without `drop`, a problem goes on in training when its checkpoint is final."""
    class Diverging(Problem):
        def loss(self, step):
            return super().loss(step) * torch.tensor([float("nan") if step > 4 else 1.0, 1.0])
    done = Diverging(scripted=[[1.0] * 4, [0.1, 0.2, 0.3, 0.4]]).fit()
    assert done.best_score == [1.0, 0.4]
    assert done.best_step == [3, 12]
    assert done.best[0].isfinite().all()
    with pytest.raises(ParameterError, match="not finite at step 6"):
        Diverging(scripted=[[0.9] * 4, [0.1, 0.2, 0.3, 0.4]]).fit()


def test_progress_names_the_stage_the_rate_and_the_time_left(caplog):
    with caplog.at_level(logging.INFO, "unidelta"):
        Problem().fit(label="original qasc")
    assert len(caplog.messages) == 4
    assert caplog.messages[0].startswith("original qasc step 3/12, ")
    assert "steps/s" in caplog.messages[0]
    assert "min left" in caplog.messages[0]
