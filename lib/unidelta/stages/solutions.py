"""Training solutions: every delta tuned for a task in its own space (section 4), and full fine-tuning beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from unidelta.data import TaskData
from unidelta.optim import Adafactor
from unidelta.projections import KINDS
from unidelta.stages.baselines import guessing
from unidelta.stages.scoring import loss_stack, score_stack
from unidelta.stages.workbench import Run, asked, compute, save, stacks
from unidelta.store import Artifact


@dataclass
class Live:
    """The solutions of a stack that are still in training: their places in the stack and their theta (len(rows), N)."""

    rows: list[int]
    theta: Tensor

    def drop(self, rows: list[int], tensors: list[Tensor]) -> None:
        self.rows, self.theta = rows, tensors[0]


def original(run: Run, tasks: Sequence[str], kinds: Sequence[str] = KINDS,
             seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """Train theta_t of every task, delta and seed in its own space: (task, kind, seed) -> artifact.

    Tensor: `theta` (N,). Metrics: `dev` and `test` (E_ori), and `best_step`. Of kind `finetune` only the scores are
    kept: its theta is a whole backbone, and nothing builds on it. Raises ValueError as `asked` does.
    """
    asked(run, tasks, seeds, kinds)
    datas = {(task, seed): run.data(task, seed) for task in tasks for seed in seeds}
    guess = cache(lambda task, seed: guessing(run, datas[task, seed], seed))  # the same for every kind
    return {key: artifact for kind in kinds for key, artifact in _originals(run, kind, datas, guess).items()}


def _originals(run: Run, kind: str, datas: dict[tuple, TaskData], guess: Callable) -> dict[tuple, Artifact]:
    """`original` for one kind. datas: by (task, seed). guess: what guessing scores on the dev part of each."""
    p = run.profile
    lr, steps = p.original(kind)
    waits = {"original_learnt": p.original_learnt} if p.patience and p.original_learnt else {}
    wanted = {}
    for (task, seed), data in datas.items():
        config = run.config(
            "original", "original_every", "original_batch", "patience", "init_seed", "max_length",
            kind=kind, sizes=p.sizes(kind), task=task, data=data.fingerprint, seed=seed, lr=lr, steps=steps, **waits)
        wanted[task, kind, seed] = (f"{task}-{kind}-s{seed}", config)

    def work(keys):
        delta = run.delta(kind)
        of = {(task, kind, seed): datas[task, seed] for task, kind, seed in keys}

        def length(key):
            return of[key].train.mean_length

        def fits(key):
            return run.fits(delta, of[key], p.original_batch)

        for stack in stacks(sorted(keys), p.stack, length, fits):
            train(delta, stack, [of[key] for key in stack])

    def train(delta, stack, mine):
        live = Live(list(range(len(stack))), run.start(kind).repeat(len(stack), 1).requires_grad_())

        def loss(step):
            rows = run.rows([mine[i] for i in live.rows], [stack[i][2] for i in live.rows], step, p.original_batch)
            return loss_stack(run, delta, live.theta, rows)

        def score():
            return score_stack(run, delta, live.theta, [mine[i] for i in live.rows], "dev")

        floor = None
        if waits:
            floor = [guess(task, seed) + p.original_learnt for task, _, seed in stack]
        ran = run.fit(Adafactor([live.theta], lr, delta.blocks), loss, score, "original",
                      [wanted[key] for key in stack],
                      patience=p.patience, floor=floor, steps=steps,
                      # a compiled pass is made for one number of solutions; to compile it anew takes longer
                      drop=None if p.compiled else live.drop)
        test = score_stack(run, delta, ran.best[0], mine, "test")
        for i, key in enumerate(stack):
            metrics = {"dev": ran.best_score[i], "test": test[i], "best_step": ran.best_step[i]}
            tensors = {} if kind == "finetune" else {"theta": ran.best[0][i]}
            save(run, "original", wanted[key], metrics, tensors, ran, [i])

    return compute(run, "original", wanted, work)
