"""Every stage and control of some unseen tasks, computed or loaded, in one long frame with the artifacts behind it.

Nothing here trains by itself: `collect` and its siblings ask the stages, which ask the store.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from html import escape
from itertools import chain, product

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta import profiles, suite
from unidelta import provenance as machine
from unidelta.finetune import METHODS
from unidelta.projections import KINDS
from unidelta.report.measures import CONTROLS, FREE, TRANSFER, markdown, plural
from unidelta.stages import approximate, optimize, original, shared, transfer
from unidelta.stages.baselines import untouched
from unidelta.stages.controls import centroid, controls, lengthened
from unidelta.stages.workbench import Run, asked
from unidelta.store import Artifact


@dataclass(frozen=True)
class Results:
    """Scores of a run, and the artifacts they come from.

    `frame` has one row per unseen task, seed, source and target delta. Its columns `ori` (E_ori of the target), `sub`
    (E_sub; after transfer, the score of the source's vector through the target's map) and one per control of the target
    (`random` is tuned for the target itself) are in percent. `ids` are the artifacts' ids."""

    run: Run
    seeds: list[int]
    frame: pd.DataFrame
    ids: list[str]

    @property
    def kinds(self) -> list[str]:
        return [k for k in METHODS if k in set(self.frame.target)]

    @property
    def own(self) -> pd.DataFrame:
        """The rows of every delta in the subspace by itself, without transfer."""
        return self.frame[self.frame.source == self.frame.target]

    @property
    def moved(self) -> pd.DataFrame:
        """The rows of transfer, in every direction."""
        return self.frame[self.frame.source != self.frame.target]

    def shown(self, n: int) -> pd.DataFrame:
        """Return the rows that the paper's Table n is about: those of transfer, or those of every delta by itself."""
        return self.moved if n in TRANSFER else self.own

    @property
    def controls(self) -> dict[str, str]:
        """Map each control that was run to its name. After transfer, too, a control is the target's."""
        return {c: text for c, text in CONTROLS.items() if c in self.frame}

    def caption(self, text: str) -> Markdown:
        """Return the line below a table or figure: what it shows, then the settings it was obtained with."""
        return caption(self.run, self.seeds, text, self.ids)

    def provenance(self) -> HTML:
        return provenance(self.run, self.ids)

    def place(self) -> str:
        """Return where its artifacts are, as HTML."""
        return listing(self.run, self.ids)


def complete(results: Results) -> bool:
    """Whether the results are of every unseen task with short answers that the stand-ins have, in their setting."""
    many = results.frame.train.str.contains("+", regex=False).all()
    return set(suite.multi()[1] if many else chain.from_iterable(suite.single().values())) <= set(results.frame.task)


def joined(one: Results, other: Results | None) -> Results:
    """Return `one` together with the tasks that only `other` has.

    Without `other`, or if its seeds differ, `one` is returned as it is: an average within a seed needs both."""
    if other is None or list(other.seeds) != list(one.seeds):
        return one
    more = other.frame[~other.frame.task.isin(one.frame.task)]
    return replace(one, frame=pd.concat([one.frame, more], ignore_index=True), ids=sorted({*one.ids, *other.ids}))


def caption(run: Run, seeds: Sequence[int], text: str, ids: Sequence[str]) -> Markdown:
    """See `Results.caption`."""
    return markdown(f"*{text} {setting(run, seeds)}; {counted(ids)}.*")


def counted(ids: Sequence[str], noun: str = "artifact") -> str:
    """Return how many artifacts there are, as in "1 artifact" or "2 artifacts"."""
    return plural(len(ids), noun)


def listing(run: Run, ids: Sequence[str]) -> str:
    """Return the folders of some artifacts, as HTML."""
    return "<pre>" + "\n".join(escape(f"runs/{run.store.base.name}/{i}") for i in ids) + "</pre>"


def provenance(run: Run, ids: Sequence[str]) -> HTML:
    """List the artifacts behind a page, folded, so that every cell can be traced to a folder in runs/."""
    now = machine.current()
    made = "; ".join(f"{k} {now[k]}" for k in ("python", "torch", "transformers", "cpu", "git_commit") if now[k])
    made += " with local changes" * bool(now["git_dirty"])
    return HTML(f"<details><summary>{counted(ids)} behind this page</summary>"
                f"<p>Page made with {escape(made)}; each artifact's config.json says what it was made with.</p>"
                f"{listing(run, ids)}</details>")


def provenances(*found: Mapping[str, Results]) -> HTML:
    """List the artifacts behind a page that shows several results: their number and place, one line per variant."""
    lines = [f"<li>{escape(name)}: {counted(results.ids)}, {results.place()}</li>"
             for variants in found for name, results in variants.items()]
    return HTML("<details><summary>Artifacts behind this page, by variant</summary>"
                f"<ul>{''.join(lines)}</ul></details>")


def setting(run: Run, seeds: Sequence[int]) -> str:
    """Describe a run in a line: profile, backbone, data, y and seeds.

    Also named are settings that differ from the profile's, and the deltas' N if they are unequal."""
    p = run.profile
    own = profiles.get(p.name, p.cap, setting=p.setting)
    changed = [f"steps={p.cap}"] * (p.cap is not None)
    changed += [f"{f.name}={getattr(p, f.name)}" for f in fields(p)
                if f.name not in ("mirror", "device", "cap") and getattr(p, f.name) != getattr(own, f.name)]
    sizes = {kind: run.delta(kind).numel for kind in KINDS}
    data = "stand-in data" if p.source == "embedded" else f"rows of the {p.source}"
    kind = "; multi-task setting" if p.setting == "multi" else ""
    line = (f"Profile `{p.name}`{kind}; backbone {run.backbone.title}; {data}; y = {p.y}; "
            f"seeds {', '.join(map(str, seeds))}")
    if changed:
        line += f"; changed from the profile: `{', '.join(changed)}`"
    if len(set(sizes.values())) > 1:
        line += f"; **unequal** N: {', '.join(f'{k} {n:,}' for k, n in sizes.items())}"
    return line


def serving(unseen: Sequence[str], train: Sequence[str] | None) -> dict[tuple, list[str]]:
    """Map the training tasks of each subspace to the unseen tasks that it serves.

    It is the subspace of `train` for all of them or, if `train` is empty, that of each category's training task."""
    served: dict[tuple, list[str]] = {}
    for task in unseen:
        served.setdefault(tuple(train or [suite.train_for(task)]), []).append(task)
    return served


def framed(run: Run, seeds: Sequence[int], lines: Sequence[dict], *stages: Mapping[tuple, Artifact]) -> Results:
    """Make a `Results` of lines whose scores are in [0, 1].

    stages: the artifacts that the scores come from; their configurations name the artifacts these were made of (a
    subspace, solutions, vectors), whose ids are listed as well."""
    frame = pd.DataFrame(lines)
    scores = [c for c in ("ori", "sub", "plain", "scaled", *CONTROLS) if c in frame]
    frame[scores] = 100 * frame[scores]
    made = [a for found in stages for a in found.values()]
    ids = {a.id for a in made} | {i for a in made for name in ("sources", "solutions") for i in a.config.get(name, ())}
    ids |= {a.config["subspace"] for a in made if "subspace" in a.config}
    return Results(run, list(seeds), frame, sorted(ids))


def collect(run: Run, unseen: Sequence[str], seeds: Sequence[int], train: Sequence[str] | None = None,
            kinds: Sequence[str] = KINDS, tuned: Collection[str] = ("random", "scaled_solution")) -> Results:
    """Compute or load every stage and control for some unseen tasks, and return their scores.

    Each task is served by the subspace of `train`, or else by that of its category's training task. A subspace is
    always that of the three deltas; `kinds` are those whose rows are kept. tuned: which of the controls that tune are
    run as well: a random up-projection, which takes as long as the stage it is compared with, and the length of the
    training solution."""
    served = serving(unseen, train)
    asked(run, [*unseen, *chain.from_iterable(served)], seeds)
    kept = [k for k in KINDS if k in kinds]
    lines, stages = [], []
    for trained, mine in served.items():
        own = original(run, mine, seeds=seeds)
        space = approximate(run, trained, seeds)
        moved = transfer(run, trained, mine, seeds=seeds)
        noise = optimize(run, trained, mine, seeds=seeds, up="random") if "random" in tuned else {}
        still = controls(run, trained, mine, seeds)
        longer = lengthened(run, trained, mine, seeds) if "scaled_solution" in tuned else {}
        stages += [own, space, moved, noise, longer, still]
        for task, seed, s, t in product(mine, seeds, kept, kept):
            line = {"train": "+".join(trained), "task": task, "seed": seed, "source": s, "target": t,
                    "ori": own[task, t, seed].metrics["test"], "sub": moved[task, seed].metrics["test"][s][t]}
            if noise:
                line["random"] = noise[task, t, seed].metrics["test"]
            if longer:
                line["scaled_solution"] = longer[task, seed].metrics["test"][t]
            untuned = still[task, seed].metrics
            line |= {c: untuned[c][t] for c in ("train_solution", "own_vector", "mean_vector")}
            line |= {c: untuned[c] for c in FREE}
            lines.append(line)
    return framed(run, seeds, lines, *stages)


def collect_shared(run: Run, unseen: Sequence[str], seeds: Sequence[int], train: Sequence[str] | None = None,
                   kinds: Sequence[str] = METHODS) -> Results:
    """Do what `collect` does for the simplified pipeline (appendix A.3), with fine-tuning if `kinds` has it.

    This pipeline has no training solutions that could be applied as they are. Its controls are the random up-projection
    (tuned for each method by itself), the training tasks' shared vectors as they are and with their length tuned, the
    untuned backbone, majority and chance."""
    served = serving(unseen, train)
    asked(run, [*unseen, *chain.from_iterable(served)], seeds)
    lines, stages = [], []
    for trained, mine in served.items():
        own = original(run, mine, kinds, seeds)
        spaces = shared.shared(run, trained, kinds, seeds)
        moved = shared.transfer(run, trained, mine, kinds, seeds)
        noise = shared.optimize(run, trained, mine, kinds, seeds, "random")
        still = shared.untuned(run, trained, mine, kinds, seeds)
        longer = shared.lengthened(run, trained, mine, kinds, seeds)
        free = untouched(run, mine, seeds)
        stages += [own, spaces, moved, noise, still, longer, free]
        for task, seed, s, t in product(mine, seeds, kinds, kinds):
            lines.append({"train": "+".join(trained), "task": task, "seed": seed, "source": s, "target": t,
                          "ori": own[task, t, seed].metrics["test"], "sub": moved[task, seed].metrics["test"][s][t],
                          "random": noise[task, t, seed].metrics["test"],
                          "scaled_vector": longer[task, seed].metrics["test"][t],
                          "shared_vector": still[task, seed].metrics["shared_vector"][t],
                          **free[task, seed].metrics})
    return framed(run, seeds, lines, *stages)


def collect_original(run: Run, unseen: Sequence[str], seeds: Sequence[int]) -> Results:
    """Return E_ori of every method (appendix A.6), one row per task, seed and method; there is no subspace.

    The frame has `ori`, the untuned backbone, majority and chance."""
    own = original(run, unseen, METHODS, seeds)
    free = untouched(run, unseen, seeds)
    lines = [{"task": task, "seed": seed, "source": k, "target": k, "ori": own[task, k, seed].metrics["test"],
              **free[task, seed].metrics}
             for task in unseen for seed in seeds for k in METHODS]
    return framed(run, seeds, lines, own, free)


def collect_trained(run: Run, train: Sequence[str], seeds: Sequence[int]) -> Results:
    """Return how well a subspace serves its own training tasks, one row per training task, seed and delta.

    `sub` is the score at the centroid of the task's three vectors (`controls.centroid`); beside it are `ori`, the
    untuned backbone, majority and chance."""
    own = original(run, train, seeds=seeds)
    held = centroid(run, train, seeds)
    free = untouched(run, train, seeds)
    lines = [{"train": "+".join(train), "task": task, "seed": seed, "source": k, "target": k,
              "ori": own[task, k, seed].metrics["test"], "sub": held[task, seed].metrics["test"][k],
              **free[task, seed].metrics}
             for task in train for seed in seeds for k in KINDS]
    return framed(run, seeds, lines, own, held, free)
