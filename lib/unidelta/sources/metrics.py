"""The paper's metrics ("Evaluation Metrics", section 5.1), as the released code computes them, each in [0, 1].

ACC      equal after lower-casing, best over the references
F1       macro-F1 over the labels that occur in the gold data (scikit-learn): a prediction that is no gold label costs
         only recall; case matters, and only the first reference counts, as in the release
EM       equal after SQuAD normalisation (lower case; no punctuation, articles, double blanks), best over the references
QA-F1    F1 over the normalised words as a bag, best over the references
ROUGE-L  F-measure of the longest common subsequence of words (rouge_score), best over the references

Predictions and references are stripped first, as in the release. Two differences are on record:
- The paper says F1 for SA and NLI, and accuracy for PD and MC-QA; the released table, and ours, has accuracy for
  glue-sst2 and for all NLI but scitail, and F1 for codah and paws.
- The released ROUGE-L comes from the package `rouge`, version not stated: it keeps case and punctuation, cuts texts at
  full stops and matches the union of the sentences' subsequences. Here it is one subsequence over lower-cased runs of
  letters and digits of any script, unstemmed. Absolute values differ; the paper reports ratios of two such values.
"""
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

from unidelta import checks


def normalize(text: str) -> str:
    """SQuAD's normalisation."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def token_f1(prediction: str, reference: str) -> float:
    p, r = normalize(prediction).split(), normalize(reference).split()
    same = sum((Counter(p) & Counter(r)).values())
    return 2 * same / (len(p) + len(r)) if same else 0.0


class _Words:
    """Tokeniser for rouge_score, whose own keeps only a-z and 0-9 and so loses every other script."""

    def tokenize(self, text: str) -> list[str]:
        return re.findall(r"[^\W_]+", text.lower())


@cache
def _rouge():
    from rouge_score import rouge_scorer  # here, because few tasks need it and it loads a whole language toolkit
    return rouge_scorer.RougeScorer(["rougeL"], tokenizer=_Words())


ONE: dict[str, Callable[[str, str], float]] = {  # (prediction, reference) -> score of one example
    "ACC": lambda p, r: float(p.lower() == r.lower()),
    "EM": lambda p, r: float(normalize(p) == normalize(r)),
    "QA-F1": token_f1,
    "ROUGE-L": lambda p, r: _rouge().score(r, p)["rougeL"].fmeasure,
}
METRICS = ["F1", *ONE]


def score(metric: str, predictions: Sequence[str], targets: Sequence[str | Sequence[str]]) -> float:
    """Score of predictions (n texts) against targets (n texts, or n lists of at least one reference).

    Raises ValueError for an unknown metric, a text in the place of a list of texts, no examples, different lengths, and
    an example without a reference.
    """
    checks.known(metric, METRICS, "no metric")
    if isinstance(predictions, str) or isinstance(targets, str):
        raise ValueError(f"{metric} needs a list of predictions and a list of targets, not a text")
    if len(predictions) != len(targets) or not len(targets):
        raise ValueError(f"{metric} needs as many predictions as targets, at least one; "
                         f"got {len(predictions)} and {len(targets)}")
    golds = [[t.strip() for t in ([gold] if isinstance(gold, str) else gold)] for gold in targets]
    if not all(golds):
        raise ValueError(f"{metric} needs a reference for every example; example {golds.index([])} has none")
    said = [p.strip() for p in predictions]
    if metric == "F1":
        from sklearn.metrics import f1_score  # here, as above: loading takes seconds, and most uses need none of it
        first = [gold[0] for gold in golds]
        return float(f1_score(first, said, labels=sorted(set(first)), average="macro", zero_division=0))
    return sum(max(ONE[metric](p, gold) for gold in best) for p, best in zip(said, golds, strict=True)) / len(said)
