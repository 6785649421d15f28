"""What the chapters on the backbone and on the tasks show: the model card, the corpus and the stand-ins by example."""

import json
import random
from collections import Counter
from collections.abc import Collection
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from unidelta import backbone as backbones
from unidelta import curriculum, deltas, suite, tasks
from unidelta.backbone import Backbone
from unidelta.params import ParameterError
from unidelta.profiles import PROFILES
from unidelta.projections import KINDS
from unidelta.report import costs
from unidelta.report.measures import LABEL, html, number
from unidelta.stages.baselines import untouched
from unidelta.stages.workbench import Run
from unidelta.world import corpus, skills


def training(t5: Backbone) -> dict:
    """The record of a pre-training by `unidelta.pretrain`: `recipe` and `curve`.

    Raises ParameterError for a backbone that has none."""
    folder = backbones.SHIPPED.get(t5.name) or Path(t5.name).expanduser()
    if not (folder / "training.json").is_file():
        raise ParameterError(f"backbone {t5.name!r} has no training.json: "
                             "this chapter is about one made by unidelta.pretrain")
    return json.loads((folder / "training.json").read_text(encoding="utf-8"))


def card(t5: Backbone) -> HTML:
    """Architecture and size of a backbone, and what the three deltas add to it."""
    c, total = t5.config, t5.model.num_parameters()
    lines = {
        "architecture": f"T5 v1.1, {c.num_layers} + {c.num_decoder_layers} layers, d = {c.d_model}, "
                        f"{c.num_heads} heads of {c.d_kv}, "
                        f"feed-forward {c.d_ff} ({c.feed_forward_proj})",
        "parameters": f"{total:,} ({total * 4 / 2**20:.1f} MiB in 32-bit floats)",
        "tokenizer": f"{len(t5.tokenizer):,} tokens, byte-level BPE: any text can be encoded",
        "fingerprint": t5.fingerprint,
        "deltas": "; ".join(f"{LABEL[k]} N = {deltas.make(k, c, **PROFILES['embedded'].sizes(k)).numel:,}"
                            for k in KINDS),
    }
    return html([{"": name, "backbone": text} for name, text in lines.items()])


def probes(record: dict) -> HTML:
    """Share of newly drawn items of every skill that are answered exactly, at up to four steps of pre-training.

    A dash stands where a skill was not yet asked by itself."""
    curve = record["curve"]
    some = [curve[len(curve) * i // 4 - 1] for i in (1, 2, 3, 4)] if len(curve) >= 4 else curve
    names = [k for k in curve[-1] if k not in ("step", "loss", "seconds")]
    return html([{"skill": n, **{f"step {r['step']:,}": f"{100 * r[n]:.0f}" if n in r else "–" for r in some}}
                 for n in names])


def pretraining_items(seed: int = 0) -> HTML:
    """Items of pre-training, input and target: text with masked spans, one of each skill, two with renamed answers."""
    rng = random.Random(seed)
    shown = [("text", *curriculum.mask_spans(corpus.text(rng), rng)) for _ in range(2)]
    for name, rename in [*((name, 0.0) for name in skills.SKILLS), ("opinion", 1.0), ("inference", 1.0)]:
        _, question, answer = skills.skill(rng, name, rename=rename)
        shown.append((name, question, f"<extra_id_0> {answer}"))
    return html([{"kind": k, "input": escape(a), "target": escape(b)} for k, a, b in shown])


def round_trip(t5: Backbone, texts: list[str]) -> HTML:
    """Pass every text through the tokenizer and back."""
    lines = []
    for text in texts:
        ids = t5.tokenizer(text)["input_ids"]
        back = t5.tokenizer.decode(ids, skip_special_tokens=True).strip()
        lines.append({"text": escape(text), "tokens": len(ids), "comes back as": escape(back),
                      "the same": "yes" if back == text else "no"})
    return html(lines)


def judged(names: list[str]) -> list[str]:
    """Those of the tasks that a table of this edition can rest on.

    They are the tasks of the single-task setting, and the unseen tasks that one of its subspaces serves."""
    served = suite.trainers()
    return [n for n in names if tasks.get(n).single
            or tasks.get(n).multi == "unseen" and (n in suite.BORROWED or tasks.category(n) in served)]


def untuned(run: Run, names: list[str], seed: int) -> dict[str, float]:
    """Task -> test score of the untuned backbone, in percent."""
    return {name: 100 * free.metrics["untuned"] for (name, _), free in untouched(run, names, [seed]).items()}


def levels(run: Run, names: list[str], seed: int, train: Collection[str] = ()) -> HTML:
    """Every task with its metric, its label words and the scores that need no training: chance, majority and untuned.

    train: those of the tasks that the page trains a subspace on; the others are told which one serves them."""
    lines, free = [], untouched(run, names, [seed])
    for name in names:
        task, mine = tasks.get(name), {k: number(100 * v) for k, v in free[name, seed].metrics.items()}
        server = name if name in train else suite.train_for(name)
        words = ", ".join(task.labels or ["the row's own options" if task.options else "free text"])
        if name == server:
            shared = "training task"
        elif suite.is_text(name):
            shared = f"served by {server}"
        else:
            shared = f"{'shared' if suite.shares_labels(name) else 'not shared'} with {server}"
        lines.append({"task": f"{name}<br><small>{task.category}, {task.metric}</small>",
                      "answers": f"{escape(words)}<br><small>{shared}</small>",
                      **{c: mine[c] for c in ("chance", "majority", "untuned")}})
    return html(lines)


def budgets(run: Run) -> HTML:
    """How N adds up, by number and shape of tensors: for the paper's sizes on T5-base's shape, and for this run's."""
    def told(delta):
        return " + ".join(f"{n} × {' × '.join(map(str, shape))}"
                          for shape, n in Counter(shape for _, shape in delta.shapes).items()) + f" = {delta.numel:,}"
    made = {"T5-base, the paper": costs.base()[1], "this run": {k: run.delta(k) for k in KINDS}}
    return html([{"": name, **{LABEL[k]: told(delta) for k, delta in each.items()}} for name, each in made.items()])


def examples(run: Run, names: list[str]) -> HTML:
    """The first training row of every task (seed 0) as the backbone reads it, and the answer that it should give."""
    p, lines = run.profile, []
    for name in names:
        text, answers = tasks.rows(name, "train", p.source, p.mirror, 0)[0]
        lines.append({"task": f"{name}<br><small>{tasks.category(name)}</small>",
                      "input": escape(f"[{name}] {text.strip()}"), "answer": escape(answers[0])})
    return html(lines)


def registry_summary() -> HTML:
    """The seventy-two tasks by category, and by their role in the paper's two settings."""
    frame = pd.DataFrame([{"category": t.category, "metric": t.metric, "single": t.single, "multi": t.multi}
                          for t in tasks.TASKS.values()])
    return html([{"category": c, "tasks": len(f),
                  "multi-task: training": (f.multi == "train").sum(),
                  "multi-task: unseen": (f.multi == "unseen").sum(),
                  "single-task: training": (f.single == "train").sum(),
                  "single-task: unseen": (f.single == "unseen").sum(),
                  "metrics": ", ".join(sorted(set(f.metric)))} for c, f in frame.groupby("category", sort=False)])
