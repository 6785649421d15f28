"""What guessing scores: the level that a solution, in whatever space, has to leave before it has learnt anything."""

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
    """What can be answered in each row: the task's label words, or the row's own options (A), (B), ...; empty lists elsewhere."""
    words, own = registry.get(task).labels, formats.inline if registry.get(task).shape == "inline" else options
    inputs = registry.load(task, seed=seed, **run.rows_taken(task))[split]["input"]
    return [words or own(text) for text in inputs]


def options(text: str) -> list[str]:
    """The options (A), (B), ... or (1), (2), ... of a row, as they may be answered: from the first to the end of its part of the row (" [SEP] ")."""
    for first, others in ((r"\(A\)", r"\([B-H]\)"), (r"\(1\)", r"\([2-8]\)")):
        if found := re.search(first, text):
            return [o.strip() for o in re.split(others, text[found.end():].split(" [SEP] ")[0])]
    return []


def chance(run: Run, data: TaskData, seed: int, split: str = "test") -> float:
    """Expected metric of answering at random among what can be answered: the mean of DRAWS seeded guesses over the rows of a split."""
    rng, options, targets = random.Random(f"chance/{data.task}/{seed}"), answers_open(run, data.task, seed, split), getattr(data, split).targets
    guesses = ([rng.choice(o) if o else "" for o in options] for _ in range(DRAWS))
    return sum(registry.score(data.task, guess, targets) for guess in guesses) / DRAWS


def majority(data: TaskData, split: str = "test") -> float:
    """Metric of always giving the most frequent training answer."""
    (word, _), = Counter(t[0] for t in data.train.targets).most_common(1)
    targets = getattr(data, split).targets
    return registry.score(data.task, [word] * len(targets), targets)


def untouched(run: Run, tasks: Sequence[str], seeds: Sequence[int]) -> dict[tuple, Artifact]:
    """What needs no training: (task, seed) -> artifact, metrics `untuned` (the backbone as it is), `majority` and `chance` on test rows."""
    def measure(task, seed):
        mine = run.data(task, seed)
        return {"untuned": scores(run.backbone, [], [mine], "test")[0], "majority": majority(mine), "chance": chance(run, mine, seed)}

    return scored(run, "untouched", tasks, seeds, measure, lambda task, seed: {"max_length": run.profile.max_length})


def guessing(run: Run, data: TaskData, seed: int) -> float:
    """The better of the two on development rows."""
    return max(chance(run, data, seed, split="dev"), majority(data, "dev"))
