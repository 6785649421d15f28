"""What guessing scores: the level that a solution, in whatever space, must exceed before it has learnt anything."""

import random
import re
from collections import Counter
from collections.abc import Sequence

from unidelta import tasks as registry
from unidelta.data import TaskData
from unidelta.evaluation import scores
from unidelta.sources import formats
from unidelta.stages.workbench import Run, scored
from unidelta.store import Artifact

DRAWS = 100


def answers_open(run: Run, task: str, seed: int, split: str = "test") -> list[list[str]]:
    """Possible answers of each row: the task's label words, or the row's own options (A), (B), ...; [] if neither."""
    if words := registry.get(task).labels:
        return [words] * len(getattr(run.data(task, seed), split))
    own = formats.inline if registry.get(task).shape == "inline" else options
    inputs = registry.load(task, seed=seed, **run.rows_taken(task))[split]["input"]
    return [own(text) for text in inputs]


def options(text: str) -> list[str]:
    """The options (A), (B), ... or (1), (2), ... of a row, as they may be answered; [] if it has none.

    They run from the first option to the end of its part of the row. " [SEP] " separates the parts.
    """
    for first, others in ((r"\(A\)", r"\([B-H]\)"), (r"\(1\)", r"\([2-8]\)")):
        if found := re.search(first, text):
            return [o.strip() for o in re.split(others, text[found.end():].split(" [SEP] ")[0])]
    return []


def chance(run: Run, data: TaskData, seed: int, split: str = "test") -> float:
    """Expected metric of choosing at random among the possible answers: the mean of DRAWS seeded guesses on a split."""
    rng = random.Random(f"chance/{data.task}/{seed}")
    possible = answers_open(run, data.task, seed, split)
    targets = getattr(data, split).targets
    guesses = ([rng.choice(answers) if answers else "" for answers in possible] for _ in range(DRAWS))
    return sum(registry.score(data.task, guess, targets) for guess in guesses) / DRAWS


def majority(data: TaskData, split: str = "test") -> float:
    """Metric of always giving the most frequent training answer."""
    [(word, _)] = Counter(t[0] for t in data.train.targets).most_common(1)
    targets = getattr(data, split).targets
    return registry.score(data.task, [word] * len(targets), targets)


def untouched(run: Run, tasks: Sequence[str], seeds: Sequence[int]) -> dict[tuple, Artifact]:
    """Scores that need no training: (task, seed) -> artifact.

    Metrics on test rows: `untuned` (the backbone as it is), `majority` and `chance`.
    """
    def measure(task, seed):
        mine = run.data(task, seed)
        return {"untuned": scores(run.backbone, [], [mine], "test")[0], "majority": majority(mine),
                "chance": chance(run, mine, seed)}

    return scored(run, "untouched", tasks, seeds, measure, lambda task, seed: {"max_length": run.profile.max_length})


def guessing(run: Run, data: TaskData, seed: int) -> float:
    """The better of chance and majority, on development rows."""
    return max(chance(run, data, seed, split="dev"), majority(data, "dev"))
