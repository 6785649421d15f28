"""The tables and figures of the chapter on speed, made from what data/benchmarks holds.

Nothing is measured here: see benchmarks/.
"""

import json
from collections.abc import Callable
from functools import wraps
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure

from unidelta import ROOT
from unidelta.projections import KINDS
from unidelta.report import figures
from unidelta.report.measures import LABEL, html

PARTS = ("recipe", "multitask", "floor", "stacks", "against_peft", "hadamard", "landscape", "scoring", "compiling",
         "throughput", "cost", "book", "gpu")
FOLDER = ROOT / "data" / "benchmarks"
BOOK = 10  # minutes that the book may take
TARGETS = {("recipe", "released"): (15, "at least"),
           ("multitask", "one by one, padded"): (6, "at least"), ("multitask", "one by one"): (6, "at least"),
           ("hadamard", "released formulation"): (3, "at least"),
           ("landscape", "point by point"): (5, "at least"), ("landscape", "point by point, padded"): (5, "at least"),
           ("floor", "ours"): (1.2, "at most"), ("stacks", "separate"): (2, "at least")}


def folders() -> list[str]:
    """The folders that hold results: `benchmarks`, and the folders in it (other machines)."""
    return ["benchmarks", *sorted(f"benchmarks/{p.name}" for p in FOLDER.iterdir() if p.is_dir())]


def load(part: str, folder: Path) -> dict | None:
    """Read the results of a part of the suite: None if it has not been measured."""
    file = folder / f"{part}.json"
    return {"part": part} | json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def table(rows: list[list], header: list[str]) -> HTML:
    """A plain table. Cells are escaped, so they may be any text."""
    return html([dict(zip(header, (escape(str(cell)) for cell in row), strict=True)) for row in rows])


def measured(show: Callable) -> Callable:
    """Let a function of a part's results say that there are none where it is given None."""
    @wraps(show)
    def shown(found: dict | None):
        if found is None:
            return Markdown("*This has not been measured on any machine whose results are stored here; "
                            "benchmarks/ has a script for it.*")
        return show(found)
    return shown


def number(x: float) -> str:
    """A number with three significant digits; from 100 on, as a whole number instead of with an exponent."""
    return f"{x:,.0f}" if abs(x) >= 99.95 else f"{x:#.3g}"


def judged(found: dict) -> list[tuple[str, str, dict, str, bool | None]]:
    """The ratios of a part: line, variant, median and quartiles, target in words, and whether the median meets it.

    Without a target the words are "" and the last entry is None."""
    out = []
    for name, line in found["lines"].items():
        for variant, r in line["ratio"].items():
            target, way = TARGETS.get((found["part"], variant), (None, ""))
            if target is None or line.get("K", 12) != 12:  # of the stacks, only K = 12 has a target
                out.append((name, variant, r, "", None))
            else:
                out.append((name, variant, r, f"{way} {target}",
                            r["median"] >= target if way == "at least" else r["median"] <= target))
    return out


@measured
def ratios(found: dict) -> HTML:
    """The ratios of a part: a variant's time over ours (or ours over the floor), quartiles, our target, met or not."""
    lines = judged(found)
    rows = [[name, variant, number(r["median"]), f"{number(r['low'])} to {number(r['high'])}", r["n"], target,
             {None: "", True: "yes", False: "no"}[met]] for name, variant, r, target, met in lines]
    shown = 7 if any(target for *_, target, _ in lines) else 5  # without a target, its two columns would be empty
    return table([row[:shown] for row in rows],
                 ["what", "variant", "ratio", "quartiles", "repeats", "target", "met"][:shown])


@measured
def shortfall(found: dict) -> Markdown:
    """Name the targets that are missed, in one sentence."""
    targets = [line for line in judged(found) if line[-1] is not None]
    missed = [f"{name} ({variant}): {number(r['median'])}, target {target}"
              for name, variant, r, target, met in targets if not met]
    if missed:
        return Markdown(f"**Falls short:** {'; '.join(missed)}.")
    return Markdown("Every target of this section is met." if targets else "This section has no target.")


def caption(found: dict | None, text: str) -> Markdown:
    """The line below a table or figure: what it shows, and the machine, threads, versions and commit behind it."""
    if found is None:
        return Markdown(f"*{text} Not measured.*")
    m = found["made"]
    device = f"CPU ({m['cpu']})" if m["device"] == "CPU" else m["device"]
    commit = (m["git_commit"] or "unknown")[:9]
    changed = ", with changes" if m["git_dirty"] else ""
    return Markdown(f"*{text} {device}, {m['threads']} thread{'s' * (m['threads'] != 1)}; "
                    f"torch {m['torch']}, transformers {m['transformers']}; "
                    f"commit `{commit}`{changed}; {m['created'][:10]}.*")


@measured
def hot(found: dict) -> HTML:
    """Where the time of our step goes: each operator's own share, by the torch profiler."""
    def shares(rows):
        return ", ".join(f"{r['operator'].removeprefix('aten::')} {r['percent']:.0f} %" for r in rows[:6])
    return table([[name, shares(rows)] for name, rows in found["profile"].items()],
                 ["step", "largest shares of the operators' own time"])


def _bars(axis, x: list, each: list[dict], **style) -> None:
    middle = [r["median"] for r in each]
    axis.errorbar(x, middle, yerr=[[r["median"] - r["low"] for r in each], [r["high"] - r["median"] for r in each]],
                  capsize=2, **style)


@measured
def mixed(found: dict) -> Markdown:
    """Why a mixed pass saves less than it could: padding, and work that is the same however the network is run."""
    filled = 100 * found["tokens_not_padding"]
    share = 100 * found["share_without_network"]["median"]
    alone, limit = (number(found[part]["median"]) for part in ("network_alone", "if_only_the_network_took_time"))
    return Markdown("Rows of different tasks have different lengths, and the mixed pass pads them all to the longest: "
                    f"{filled:.0f} % of its input tokens are not padding. "
                    f"The projections, the reconstruction and Adafactor take {share:.0f} % of our step. "
                    f"The network's part alone takes {alone} times as long one by one as in the mixed pass. If the "
                    f"rest of our step took no time at all, one by one would take {limit} times as long as our step.")


@measured
def stacks(found: dict) -> Figure:
    """(d) Time of K separate steps over the time of one stack of K, against K."""
    figure, (axis,) = figures.canvas(height=2.7, width=4.8)
    for kind in KINDS:
        mine = [line for line in found["lines"].values() if line["delta"] == kind]
        _bars(axis, [line["K"] for line in mine], [line["ratio"]["separate"] for line in mine], fmt="o-",
              color=figures.COLOUR[kind], label=LABEL[kind])
    ks = [line["K"] for line in mine]
    axis.set(xscale="log", xlabel="solutions K", ylabel="separate / stacked", ylim=(0, None))
    axis.set_xticks(ks, ks)
    axis.minorticks_off()
    axis.axhline(1, color="black", linewidth=0.8)
    axis.legend(fontsize=7)
    return figure


@measured
def transform(found: dict) -> Figure:
    """(f) Time of the alternatives to our transform over the time of ours, against the size P."""
    figure, (axis,) = figures.canvas(height=2.7)
    lines = list(found["lines"].values())
    for name, colour, marker in (("released formulation", "#D55E00", "o"), ("dense product", "#CC79A7", "s"),
                                 ("memory copy", "black", "^")):
        mine = [line for line in lines if name in line["ratio"]]
        _bars(axis, [line["log2"] for line in mine], [line["ratio"][name] for line in mine], fmt=f"{marker}-",
              color=colour, label=name)
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set(yscale="log", xlabel="numbers P", ylabel="its time / ours")
    axis.set_xticks([line["log2"] for line in lines], [f"$2^{{{line['log2']}}}$" for line in lines])
    axis.legend(fontsize=7)
    return figure


@measured
def compiling(found: dict) -> HTML:
    """What a compiled training step saves, how long compiling takes, and after how many steps it has paid."""
    rows = []
    for name, line in found["lines"].items():
        r = line["ratio"]["as it is"]
        rows.append([name, number(r["median"]), f"{number(r['low'])} to {number(r['high'])}", r["n"],
                     number(line["compiled_in"]),
                     "never" if line["paid_after"] is None else number(line["paid_after"])])
    return table(rows, ["step", "as it is / compiled", "quartiles", "repeats",
                        "compiled in, seconds", "paid after, steps"])


@measured
def throughput(found: dict) -> Figure:
    """(h) Tokens a second (above) and peak memory (below) against input length, K, y and number of tasks."""
    frame = pd.DataFrame(found["measurements"])
    figure, axes = figures.canvas(2, 4, height=2.1, sharex="col", sharey="row")
    labels = {"length": "tokens of an input", "K": "solutions K", "y": "dimension y", "tasks": "tasks"}
    for column, (axis, text) in enumerate(labels.items()):
        for kind, mine in frame[frame.axis == axis].groupby("delta", sort=False):
            colour, label = figures.COLOUR.get(kind, "black"), LABEL.get(kind, "all three")
            thousands = [{part: r[part] / 1000 for part in ("median", "low", "high")} for r in mine.tokens_per_second]
            _bars(axes[column], list(mine.value), thousands, fmt="o-", markersize=3, color=colour, label=label)
            axes[4 + column].plot(mine.value, mine.peak_mib, "o-", markersize=3, color=colour)
        ticks = sorted(set(frame[frame.axis == axis].value))
        axes[column].set(xscale="log")
        axes[4 + column].set(xscale="log", xlabel=text)
        axes[4 + column].set_xticks(ticks, ticks)
        axes[4 + column].minorticks_off()
    axes[0].set(ylabel="1000 tokens a second", ylim=(0, None))  # set last: the plots of a row share their scale
    axes[4].set(ylabel="peak memory, MiB", ylim=(0, None))
    axes[0].legend(fontsize=6)
    axes[2].legend(fontsize=6)
    return figure


@measured
def gpu(found: dict) -> HTML:
    """What `benchmarks/gpu.py` measured on a card, at T5-base's shape.

    For every step: its seconds, the seconds of each solution, peak memory. Then landscape points and the transform."""
    def line(step):
        size = f"y = {step['y']}" if "y" in step else f"K = {step['K']}"
        if not step["fits"]:
            return [step["stage"], step["delta"], size, "does not fit", "", ""]
        return [step["stage"], step["delta"], size, number(step["seconds"]["median"]),
                number(step["per_solution"]) if "per_solution" in step else "", number(step["peak_mib"])]
    points = found["landscape"]
    copied = [(t["log2"], t["ratio"]["memory copy"]["median"]) for t in found["transform"]]
    rows = [line(step) for step in found["steps"]]
    rows += [["landscape", "lora", f"{points['points']} points",
              f"{number(points['points_per_second']['median'])} points a second",
              f"{number(points['ratio']['point by point']['median'])} times one by one", ""],
             ["transform", "", f"2^{copied[0][0]} to 2^{copied[-1][0]}", "time of a copy over ours",
              ", ".join(number(r) for _, r in copied), ""]]
    return table(rows, ["stage", "delta", "size", "seconds", "of each solution", "peak MiB"])


@measured
def book(found: dict) -> HTML:
    """(i) Minutes of `make book` and of its longest jobs: a column for each run, the latest last."""
    runs = found["runs"]
    longest = sorted(runs[-1]["jobs"], key=runs[-1]["jobs"].get, reverse=True)[:8]

    def row(name: str, seconds: list[float | None]) -> list:
        return [name, *("" if s is None else f"{s / 60:.1f}" for s in seconds)]

    rows = [row("the whole book", [run["seconds"] for run in runs]),
            [f"at most {BOOK}: met", *("yes" if run["seconds"] <= 60 * BOOK else "no" for run in runs)],
            row("the environment, before it", [run["environment_seconds"] for run in runs]),
            *(row(name, [run["jobs"].get(name) for run in runs]) for name in longest)]
    return table(rows, ["minutes", *(f"{run['created'][:16].replace('T', ' ')}, {run['commit'][:7]}, "
                                     f"{run['jobs_at_once']} jobs at once" for run in runs)])
