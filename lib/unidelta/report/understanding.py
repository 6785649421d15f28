"""Does the untuned backbone understand a stand-in's rows, if they are asked in the words of its own pre-training?

And what of these rows has it met there? A delta that only has to say how an answer is worded has something to carry to
the next task; one that first has to learn to read the rows has not.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
from IPython.display import HTML

from unidelta import backbone as backbones
from unidelta import curriculum, suite
from unidelta.backbone import Backbone
from unidelta.data import Encoded
from unidelta.evaluation import predict
from unidelta.report.measures import html, number, relative
from unidelta.report.results import Results
from unidelta.sources import embedded
from unidelta.world import prompts

OPINION = ("glue-sst2", "rotten_tomatoes", "amazon_polarity")
PAIRS = ("glue-mnli", "scitail", "superglue-rte", "glue-qqp", "glue-mrpc", "superglue-wic", "superglue-wsc")
CHOICES = ("dream", "codah", "quartz-no_knowledge", "superglue-copa", "qasc", "ai2_arc")

ROWS = 250  # of a task's validation part that are asked

FOLLOWS, ELSE = ("it follows",), ("it fails", "who knows")
Asked = tuple[list[str], str, tuple[str, ...]]  # texts, question, answers that count as right


def _options(row: dict) -> tuple[list[str], str]:
    """The options of a row and the right one, whichever of the hub's columns hold them."""
    if "choices" in row:
        texts = row["choices"]["text"]
        return texts, texts[row["choices"]["label"].index(row["answerKey"])]
    if "choice1" in row:
        return [row["choice1"], row["choice2"]], row[f"choice{row['label'] + 1}"]
    if "candidate_answers" in row:
        return row["candidate_answers"], row["candidate_answers"][row["correct_answer_idx"]]
    return row["choice"], row["answer"]


def _pair(task: str, row: dict) -> Asked:
    if task in ("glue-qqp", "glue-mrpc"):
        first, second = ("question1", "question2") if "question1" in row else ("sentence1", "sentence2")
        return [row[first], row[second]], "are both one?", ("yes",) if row["label"] == 1 else ("no",)
    if task == "superglue-wic":
        return ([row["sentence1"], row["sentence2"]], f"is {row['word']} one thing?",
                ("yes",) if row["label"] else ("no",))
    if task == "superglue-wsc":
        return [row["text"], row["span1_text"], row["span2_text"]], "is it so?", ("yes",) if row["label"] else ("no",)
    if task == "scitail":
        return ([row["sentence1"], row["sentence2"]], "does it follow?",
                FOLLOWS if row["gold_label"] == "entailment" else ELSE)
    answers = (FOLLOWS, ELSE) if task == "superglue-rte" else (FOLLOWS, ELSE[1:], ELSE[:1])
    return [row["premise"], row["hypothesis"]], "does it follow?", answers[row["label"]]


def asked(task: str, row: dict, rng: random.Random) -> tuple[str, tuple[str, ...]]:
    """Turn a row of a stand-in (the hub's columns) into a question of pre-training and the answers that are right."""
    if task in OPINION:
        text = next(row[name] for name in ("sentence", "text", "content") if name in row)
        return f"{text.strip()} did they like it?", ("they did",) if row["label"] == 1 else ("they did not",)
    if task in PAIRS:
        texts, question, right = _pair(task, row)
        return prompts.plain(rng, texts, question), right
    options, right = _options(row)
    question = " ".join(_question(row)[:-1])
    return f"{question} {prompts.listed(rng, options, False)} just that!", (right,)


def understood(backbone: Backbone, task: str) -> float:
    """Share of a task's rows that the untuned backbone answers right when they are asked in the words of pre-training.

    task: one of OPINION, PAIRS and CHOICES, of which the first ROWS validation rows (seed 0) are asked."""
    rng = random.Random(f"understood/{task}")
    questions, right = zip(*(asked(task, row, rng) for row in embedded.raw(task, "validation")[:ROWS]), strict=True)
    inputs = [np.array(ids) for ids in backbone.tokenizer(list(questions))["input_ids"]]
    said = predict(backbone, [], [Encoded(inputs, [], [])], longest=[16])[0]
    return sum(mine in good for mine, good in zip(said, right, strict=True)) / len(right)


def reading(names: list[str]) -> pd.DataFrame:
    """`understood` in percent, one row per task, training tasks of a subspace first, and one column per backbone."""
    tasks = OPINION + PAIRS + CHOICES
    trainers = [task for task in suite.single() if task in tasks]
    ordered = [*trainers, *(t for t in tasks if t not in trainers)]
    models = {name: backbones.load(name) for name in names}
    return pd.DataFrame({name: [100 * understood(model, task) for task in ordered] for name, model in models.items()},
                        index=ordered)


def table(read: pd.DataFrame) -> HTML:
    """`reading` as a table, each column headed by a backbone's name and fingerprint."""
    heads = {name: f"{name}<br><small>{backbones.load(name).fingerprint}</small>" for name in read}
    return html([{"task": task, "": "trains a subspace" if task in suite.single() else "",
                  **{heads[name]: number(score) for name, score in row.items()}} for task, row in read.iterrows()])


def related(read: pd.DataFrame, found: dict[str, Results]) -> HTML:
    """Rank correlation (Spearman's) over backbones of what is read with what is recovered, for every unseen task.

    read: of `reading`. found: results by variant, "unchanged" (of the backbone "embedded") and "backbone=NAME";
    backbones without results are left out. What is recovered is E_sub in percent of E_ori, mean over deltas and seeds;
    what is read, the share of the unseen task's own rows, or of its training task's, that the untuned backbone answers
    right."""
    of = {name: found.get("unchanged" if name == "embedded" else f"backbone={name}") for name in read}
    of = {name: results for name, results in of.items() if results}
    won = pd.DataFrame({name: relative(r.own).groupby(r.own.task).mean() for name, r in of.items()})
    won = won[won.index.isin(read.index) & (won.nunique(axis=1) > 1)]  # orders of equals say nothing
    by = {"by its own rows": list(won.index), "by the training task's": [suite.train_for(task) for task in won.index]}
    ranks = pd.DataFrame({text: [won.loc[task].corr(read.loc[asked], method="spearman")
                                 for task, asked in zip(won.index, of_rows, strict=True)]
                          for text, of_rows in by.items()}, index=won.index)
    lines = [{"unseen task": task, "training task": suite.train_for(task),
              **{text: f"{value:.1f}" for text, value in row.items()}} for task, row in ranks.iterrows()]
    return html([*lines, {"unseen task": "<b>above zero</b>", "training task": "",
                          **{text: f"{(each > 0).sum()} of {len(each)}" for text, each in ranks.items()}}])


def _sentences(value) -> Iterator[str]:
    """The sentences of at least four words in a row or a part of it, in lower case and without punctuation."""
    if isinstance(value, str):
        words = (re.findall(r"[a-z0-9_']+", sentence.lower()) for sentence in re.split(r"(?<=[.?!;])\s+", value))
        yield from (" ".join(each) for each in words if len(each) > 3)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _sentences(part)


def met(names: list[str], items: int = 20_000) -> HTML:
    """How much of the test rows of those tasks that have a stand-in occurs elsewhere.

    Counted are their sentences that occur in `items` items of pre-training, drawn anew as at its end; and, for tasks of
    CHOICES, the questions that occur in the training rows with the same answers."""
    rng, how = random.Random("met"), curriculum.mixture(curriculum.RECIPE["steps"], curriculum.RECIPE)
    drawn = (curriculum.item(rng, curriculum.RECIPE["text_share"], **how) for _ in range(items))
    lines_with = defaultdict(list)  # a pair of neighbouring words -> the lines that have it
    for _, question, answer in drawn:
        words = re.findall(r"[a-z0-9_']+", f"{question} {answer}".lower())
        for pair in set(pairwise(words)):
            lines_with[pair].append(" ".join(words))

    def seen(sentence):  # only its first and last word may be parts of longer ones
        inner = [lines_with.get(pair, ()) for pair in pairwise(sentence.split()[1:-1])]
        return any(sentence in line for line in min(inner, key=len))

    lines = []
    for task in (name for name in names if name in embedded.names()):
        test, train = (embedded.raw(task, split) for split in ("test", "train"))
        sentences = list(dict.fromkeys(s for row in test for s in _sentences(row)))
        share = f"{100 * sum(map(seen, sentences)) / len(sentences):.0f}" if sentences else "–"
        line = {"task": task, "sentences of its test rows": len(sentences), "of these met in pre-training, %": share}
        if task in CHOICES:
            known = {_question(row) for row in train}
            line["questions that training rows answer, too, %"] = (
                f"{100 * sum(_question(row) in known for row in test) / len(test):.0f}")
        lines.append(line)
    return html(lines)


def _question(row: dict) -> tuple[str, ...]:
    """What a row with options asks, followed by its right answer."""
    question = next(row[name] for name in ("premise", "question_propmt", "question") if name in row)
    return (*row.get("dialogue", ()), question, _options(row)[1])
