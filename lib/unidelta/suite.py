"""Which subspace serves which task, and how the unseen tasks are grouped.

All of this was fixed before any subspace result was looked at. Single-task setting (section 5.1): one training task per
category; the category's other tasks are unseen. A task of the multi-task setting whose category has no training task
here borrows the subspace named in `BORROWED`.
"""

from collections.abc import Sequence

from unidelta import tasks as registry
from unidelta.sources import embedded

# Sentences take several times as long to decode as other answers. With the embedded source, only the studies
# `long_answers`, `absolute`, `simplified` and `more_seeds` have them.
LONG_TRAIN, LONG_UNSEEN = "eli5-eli5", ("eli5-asks", "eli5-askh")
# The training tasks of the multi-task setting with the embedded source. To save time, only some of the paper's sixty:
# those whose stand-ins have inputs of at most eighteen words on average and answers of at most six, and those of which
# the single-task setting has solutions already.
BRIEF = ("amazon_polarity", "glue-sst2", "imdb", "emotion", "tweet_eval-offensive", "tweet_eval-stance_climate",
         "ethos-directed_vs_generalized", "glue-mnli", "glue-wnli", "superglue-rte", "health_fact", "glue-qqp",
         "google_wellformed_query", "sms_spam", "superglue-wic", "web_questions", "codah", "dream", "superglue-copa",
         "blimp-anaphor_gender_agreement")
# a judgement on form: the nearest training task is the judgement on word meaning
BORROWED = {"blimp-anaphor_number_agreement": "superglue-wic"}


def trainers() -> dict[str, str]:
    """Category -> its training task in the single-task setting."""
    return {registry.category(name): name for name in registry.names("single", "train")}


def train_for(task: str) -> str:
    """The single-task training task whose subspace serves `task`; a training task serves itself.

    Raises ValueError for a task without one, naming those that have one.
    """
    known = trainers()
    name = BORROWED.get(task) or known.get(registry.category(task))
    if name is None:
        served = [n for n in registry.names() if n in BORROWED or registry.category(n) in known]
        raise ValueError(f"no single-task subspace serves {task!r}; allowed: {', '.join(served)}")
    return name


def has(source: str, mirror: str | None, name: str) -> bool:
    """Whether a source has a task: the embedded one as a stand-in, a mirror as files, and the hub all of them.

    mirror: its folder, or None for what UNIDELTA_MIRROR names. Raises ValueError if there is no such folder.
    """
    return name in embedded.names() if source == "embedded" else source == "hub" or registry.mirrored(name, mirror)


def single(source: str = "embedded", mirror: str | None = None) -> dict[str, list[str]]:
    """Training task -> its unseen tasks, in the order of Table 1, as far as the source has them (`has`).

    For the embedded source, only tasks with short answers.
    """
    out: dict[str, list[str]] = {}
    for name in registry.names("single", "unseen"):
        train = train_for(name)
        long = source == "embedded" and train == LONG_TRAIN
        if not long and has(source, mirror, name) and has(source, mirror, train):
            out.setdefault(train, []).append(name)
    return out


def multi(source: str = "embedded", mirror: str | None = None) -> tuple[list[str], list[str]]:
    """The multi-task setting (section 5.2): its training tasks and its unseen tasks (Tables 12 and 13).

    Only tasks that the source has (`has`); for the embedded one, only those that are brief.
    """
    train, unseen = ([t for t in registry.names("multi", role) if has(source, mirror, t)]
                     for role in ("train", "unseen"))
    if source == "embedded":
        train, unseen = [t for t in train if t in BRIEF], [t for t in unseen if t not in LONG_UNSEEN]
    return train, unseen


def is_multi(task: str) -> bool:
    """Whether an unseen task belongs to the multi-task setting alone (in Table 13, not in Table 1)."""
    return registry.get(task).multi == "unseen" and not registry.get(task).single


def is_text(task: str) -> bool:
    """Whether a task has neither label words nor options, so that its answers are free texts."""
    return not registry.get(task).labels and not registry.get(task).options


def shares_labels(task: str, train: Sequence[str] | None = None) -> bool:
    """Whether every answer of `task` is a label word of its training tasks or, like theirs, an option in the input.

    train: the training tasks, where they are not that of the task's category.
    """
    words = registry.get(task).labels
    trained = [registry.get(name) for name in train or [train_for(task)]]
    if words:
        return set(words) <= {word for t in trained for word in t.labels or []}
    return not is_text(task) and any(not t.labels and t.options for t in trained)


def groups(tasks: Sequence[str], train: dict[str, Sequence[str]] | None = None) -> dict[str, list[str]]:
    """Group tasks: those that share label words with their training tasks, those that do not, those without, and all.

    train: task -> training tasks, where they are not its category's.
    """
    texts = [t for t in tasks if is_text(t)]
    shared = [t for t in tasks if shares_labels(t, (train or {}).get(t))]
    return {"label words shared": shared, "label words not shared": [t for t in tasks if t not in (*shared, *texts)],
            "answers without label words": texts, "all": list(tasks)}
