"""The tables of the chapter on cost: what the cost model says, beside what was measured."""

from dataclasses import fields, replace

import transformers
from IPython.display import HTML, Markdown

from unidelta import cost, deltas, profiles
from unidelta import memory as counted
from unidelta.projections import KINDS, RATIO
from unidelta.report.speed import measured, number, table


def fraction(value) -> bool:
    """a number above 0 and at most 1"""
    return isinstance(value, (int, float)) and 0 < value <= 1


@measured
def checked(found: dict) -> HTML:
    """The seconds that the cost model predicts for every step, beside the measured ones."""
    rows = [[s["step"], number(s["gflop"]), number(s["measured"]), number(s["predicted"]), number(s["ratio"]["median"]),
             f"{number(s['ratio']['low'])} to {number(s['ratio']['high'])}"] for s in found["steps"]]
    return table(rows, ["step", "GFLOP", "seconds", "predicted", "measured / predicted", "quartiles"])


@measured
def activations(found: dict) -> Markdown:
    """Compare the activations we count with the bytes that torch keeps."""
    parts = ", ".join(f"{number(ratio)} at {length} tokens"
                      for length, ratio in found["activations_measured_over_counted"].items())
    r = found["flops_per_second"]
    return Markdown(f"The rate was {number(r['median'] / 1e9)} GFLOP/s. "
                    "Activations that torch keeps for a backward pass of the bare network, "
                    f"measured over counted: {parts}.")


@measured
def spaces(found: dict) -> HTML:
    """A step of `approximate` of the multi-task setting, measured, beside what the cost model says of it."""
    rows = []
    for line in found["approximate"]:
        seconds, predicted, count, torchs, resident = (
            line[name] for name in ("seconds", "seconds_predicted", "gib_counted", "gib_held", "gib"))
        rows.append([line["y"], *map(number, (seconds, predicted, seconds / predicted, count, torchs,
                                              torchs / count, resident, resident / count))])
    return table(rows, ["y", "seconds", "predicted", "measured / predicted", "GiB counted", "held by torch",
                        "held / counted", "resident", "resident / counted"])


def assumed(p, text: str, found: dict | None) -> Markdown:
    """The line below an estimate: that it is counted, not timed, what is assumed, and how far memory was measured off.

    found: the measurements of `spaces`, if there are any."""
    off = max((line["gib"] / line["gib_counted"] for line in (found or {}).get("approximate", [])), default=None)
    return Markdown(f"*{text} Counted, not timed. Assumed: {100 * p.share:.0f} % of the published {p.dtype} peak "
                    f"and bandwidth (data/gpus.tsv), inputs of {p.length} tokens, answers of {p.answer}. "
                    "Whether `approximate` fits is by the count"
                    + (f"; the process of a step measured above took up to {number(off)} times as much" if off else "")
                    + ".*")


def fixed() -> HTML:
    """The fields of `unidelta.profiles.Profile` in which profiles differ, or the single- and the multi-task setting."""
    def text(value) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{name} {text(of)}" for name, of in value.items())
        if isinstance(value, tuple):
            return ", ".join(map(text, value))
        return "all" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    columns = {f"{name}, {setting}": profiles.get(name, setting=setting)
               for name in profiles.PROFILES for setting in cost.SETTINGS}
    columns = {name: replace(p, ratio=RATIO[p.variant]) if p.ratio is None else p for name, p in columns.items()}
    rows = [[field.name, *(text(getattr(profile, field.name)) for profile in columns.values())]
            for field in fields(profiles.Profile) if field.name not in ("name", "setting", "multi")]
    return table([row for row in rows if len(set(row[1:])) > 1], ["", *columns])


def fits(answer: int = 4) -> Markdown:
    """Say whether the multi-task approximation fits the card that the paper used, and how much memory it takes."""
    card = "V100 SXM2 32 GB"
    limit = cost.cards().memory_gib[card]
    parts = needed("multi", 512, answer)
    total = sum(parts.values())
    state = total - sum(parts[name] for name in ("backbone", "solutions", "activations"))
    verb = "fits" if total < limit else "does not fit"
    return Markdown(f"At y = 100 the projections with all that training adds to them take {number(state)} GiB, "
                    f"the whole step at 512 tokens {number(total)} GiB in float32: "
                    f"it {verb} into the {limit} GiB of the paper's card ({card}).")


def base() -> tuple:
    """The configuration of google/t5-base-lm-adapt and the deltas in the paper's sizes.

    Only its shape is given here: no weights are loaded, and no network is needed."""
    config = transformers.T5Config(d_model=768, d_kv=64, d_ff=2048, num_layers=12, num_heads=12, vocab_size=32128,
                                   feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    return config, {k: deltas.make(k, config, **profiles.PROFILES["paper"].sizes(k)) for k in KINDS}


def reproduction(setting: str, share: float, length: int, answer: int, dtype: str) -> HTML:
    """Hours of every stage on every card that has the number format `dtype`, and whether `approximate` fits its memory.

    share: the part of its published peak and bandwidth that a card is assumed to achieve.
    length, answer: tokens of an input and of an answer. The memory is for inputs of 512 tokens."""
    config, made = base()
    cards = cost.cards().dropna(subset=[dtype])
    each = {name: cost.hours(setting, config, made, 1e12 * share * c[dtype], 1e9 * share * c.bandwidth, length, answer)
            for name, c in cards.iterrows()}
    first = next(iter(each.values()))
    rows = [[stage, f"{first.jobs[stage]:,}", f"{first.steps[stage]:,}",
             *(number(frame.hours[stage]) for frame in each.values())] for stage in first.index]
    rows.append(["all", f"{first.jobs.sum():,}", f"{first.steps.sum():,}",
                 *(number(frame.hours.sum()) for frame in each.values())])
    need = needed(setting, 512, answer, 4 if dtype == "float32" else 2)
    total = sum(need.values())
    # the driver and torch itself take some of the memory that a card is sold with
    room = ["fits" if total < 0.9 * c.memory_gib else "no room to spare" if total < c.memory_gib else "does not fit"
            for _, c in cards.iterrows()]
    return table([*rows, [f"memory of approximate, 512 tokens: {number(total)} GiB", "", "", *room]],
                 ["stage (hours on one card)", "jobs", "steps", *each])


def needed(setting: str, length: int, answer: int, bytes_each: int = 4) -> dict[str, float]:
    """GiB that a step of `approximate` takes, by part."""
    config, made = base()
    p, works = cost.plan(setting)
    rows, = {w.rows for w in works if w.stage == "approximate"}
    return counted.approximation(config, made, p.y, 60 if setting == "multi" else 1, rows, length, answer, bytes_each)


def memory(answer: int = 4) -> HTML:
    """`needed` for both settings at 128 and 512 tokens, the backbone and its activations in float32 or bfloat16."""
    columns = {f"{setting}, {length} tokens, {dtype}": needed(setting, length, answer, size)
               for setting in cost.SETTINGS for length in (128, 512)
               for dtype, size in (("float32", 4), ("bfloat16", 2))}
    parts = next(iter(columns.values()))
    rows = [[part, *(number(c[part]) for c in columns.values())] for part in parts]
    return table([*rows, ["in all", *(number(sum(c.values())) for c in columns.values())]], ["GiB", *columns])
