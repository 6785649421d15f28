"""What the chapter on the data shows: categories, formats, the paper's lists of tasks with references, availability."""

from collections.abc import Sequence
from html import escape

import pandas as pd
from IPython.display import HTML, Markdown
from pybtex.database import Entry, parse_file
from pybtex.richtext import Text

from unidelta import ROOT, params, tasks
from unidelta.report import availability
from unidelta.report.measures import html
from unidelta.sources import embedded, mirror
from unidelta.tasks import Task

# the paper's table -> role in the multi-task setting, number of tasks that it lists
LISTED = {12: ("train", 59), 13: ("unseen", 9)}
SAID = {"embedded": "stand-in data", "mirror": "real rows (mirror)", "hub": "real rows (hub)"}
STANDS_IN = ("stand-in", "not the official")  # words by which the mirror's notes admit it


def offered(source: str, folder: str | None = None) -> list[str]:
    """The tasks whose training rows a source has, category after category. For the hub, these are all tasks."""
    has = {"embedded": lambda task: task.name in embedded.names(),
           "mirror": lambda task: mirror.path(task, "train", folder), "hub": bool}[source]
    return [n for mine in by_category(tasks.names()).values() for n in mine if has(tasks.get(n))]


def caption(text: str, source: str) -> Markdown:
    return Markdown(f"*{text} {SAID[source].capitalize()}.*")


def chosen(wanted: str, source: str, folder: str | None) -> list[str]:
    """The tasks that a notebook's parameter `tasks` chooses among those that the source has.

    Raises ValueError, one line, for anything else."""
    return params.names(wanted, offered(source, folder), "tasks")


# --- the tasks -------------------------------------------------------------------------------------------------------
def by_category(names: Sequence[str]) -> dict[str, list[str]]:
    """Category -> those of the tasks that belong to it, in the order of the table of tasks."""
    return {c: [n for n in names if tasks.category(n) == c]
            for c in dict.fromkeys(tasks.category(n) for n in tasks.names())}


def categories() -> HTML:
    """Every category with its tasks and metrics."""
    return html([{"category": c, "tasks": len(mine), "names": ", ".join(mine),
                  "metric": ", ".join(dict.fromkeys(tasks.get(n).metric for n in mine))}
                 for c, mine in by_category(tasks.names()).items()])


def formats_shown(names: Sequence[str], source: str, folder: str | None) -> HTML:
    """One task of each category: its format in the registry, and its first training row in this format."""
    lines = []
    for category, mine in by_category(names).items():
        if mine:
            task = tasks.get(mine[0])
            text, answers = tasks.rows(mine[0], "train", source, folder)[0]
            lines.append({"task": f"{task.name}<br><small>{category}</small>",
                          "input in the registry": f"<code>{escape(task.input)}</code>",
                          "answer in the registry": f"<code>{escape(task.target)}</code>",
                          "input": escape(f"[{task.name}] {text.strip()}"[:600]),
                          "answer": escape(answers[0][:200])})
    return html(lines)


def measured(names: Sequence[str], source: str, folder: str | None) -> pd.DataFrame:
    """One line per training row: task, category, words (of the input), answer (the first) and answer_words."""
    frames = []
    for name in names:
        rows = tasks.rows(name, "train", source, folder)
        frames.append(pd.DataFrame({"task": name, "category": tasks.category(name),
                                    "words": [len(text.split()) for text, _ in rows],
                                    "answer": [answers[0] for _, answers in rows],
                                    "answer_words": [len(answers[0].split()) for _, answers in rows]}))
    return pd.concat(frames, ignore_index=True)


# --- the paper's Tables 12 and 13 ------------------------------------------------------------------------------------
def bibliography() -> dict[str, Entry]:
    """The book's references, by key."""
    return dict(parse_file(str(ROOT / "book" / "references.bib")).entries.items())


def short(entry: Entry) -> str:
    """A reference in short, as in McAuley and Leskovec (2013).

    From three authors on, only the first is named, with "et al."; a letter in the key follows the year (2019a)."""
    names = [_plain(" ".join(person.prelast_names + person.last_names)) for person in entry.persons["author"]]
    authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    year = entry.fields["year"]
    letter = entry.key.rpartition(year)[2]
    return f"{authors} ({year}{letter if letter in ('a', 'b') else ''})"


def _plain(latex: str) -> str:
    return str(Text.from_latex(latex))


def published(n: int) -> HTML:
    """The paper's Table 12 (training tasks) or 13 (unseen tasks), from the registry.

    Each task has a reference to the work that its data come from."""
    role, listed = LISTED[n]
    entries, lines = bibliography(), []
    for at, name in enumerate(sorted(tasks.names("multi", role), key=lambda t: t == "ade_corpus_v2-dosage"), 1):
        task = tasks.get(name)
        lines.append({"": at if at <= listed else f"{at} (not in Table {n})", "task": name,
                      "category": task.category, "metric": task.metric,
                      "reference": "; ".join(short(entries[key]) for key in task.citation),
                      "remark": escape(task.note) or "–"})
    return html(lines)


def works(names: Sequence[str]) -> HTML:
    """The works behind the tasks, in full."""
    entries = bibliography()
    keys = sorted({key for name in names for key in tasks.get(name).citation},
                  key=lambda k: short(entries[k]).lower())
    lines = []
    for key in keys:
        fields = entries[key].fields
        where = (fields.get("booktitle") or fields.get("journal") or fields.get("howpublished")
                 or f"arXiv:{fields['eprint']}")
        lines.append(f"<li>{escape(short(entries[key]))}. {escape(_plain(fields['title']))}. "
                     f"<i>{escape(_plain(where))}</i>.</li>")
    return HTML(f"<details><summary>The {len(keys)} works in full</summary><ul>{''.join(lines)}</ul></details>")


# --- what can be had -------------------------------------------------------------------------------------------------
EVIDENCE = {"bytes": "a copy under this id gives CrossFit's published md5 sums",
            "columns": "a copy under this id loads with the columns that the task needs",
            "set": "another configuration of the id loads",
            "name": "public code loads it by this name; its columns were not seen"}


def checked(task: Task, by_task: dict[str, list[dict]], about: dict) -> str:
    """How the task's id on the hub was checked: the best key of `EVIDENCE`.

    by_task, about: as `availability.stored` returns them."""
    def there(splits: list[dict]) -> bool:
        return any(line["file"] and line["hub_id"] == task.hub for line in splits)
    if there(by_task[task.name]):
        return "bytes" if task.name in about["md5"] else "columns"
    return "set" if any(map(there, by_task.values())) else "name"


def _counted(line: dict) -> str:
    """A split and its number of rows; in brackets, how many of them are labelled if not all are."""
    if not line["file"]:
        return f"{line['split']} –"
    rows = f"{line['split']} {int(line['rows']):,}"
    return rows if line["labelled"] == line["rows"] else f"{rows} ({int(line['labelled']):,})"


def available() -> HTML:
    """All seventy-two tasks and where they can be had.

    Given are rows per split of the recorded mirror, rows of our parts, whether there is a stand-in, the id on the hub
    and how it was checked."""
    by_task, parts, about = availability.stored()
    lines = []
    for name, splits in by_task.items():
        task, mine = tasks.get(name), parts[name]
        rows = "<br>".join(_counted(line) for line in splits)
        made = "no" if mine["fault"] else " / ".join(f"{int(mine[part]):,}" for part in tasks.PARTS)
        lines.append({"task": name, "mirror: rows per split": rows, "mirror: train / dev / test": made,
                      "stand-in": "yes" if name in embedded.names() else "no",
                      "hub id": f"<code>{task.hub}</code> <code>{task.config}</code>",
                      "id checked by": checked(task, by_task, about)})
    return html(lines)


def summary() -> Markdown:
    """How many of the tasks each source has, in sentences."""
    by_task, parts, about = availability.stored()
    loads = {n for n in by_task if not parts[n]["fault"]}
    own = set(embedded.names())
    neither = [n for n in by_task if n not in loads | own]
    evidence = [checked(tasks.get(n), by_task, about) for n in by_task]
    counts = "; ".join(f"*{word}*, {text} ({evidence.count(word)} tasks)" for word, text in EVIDENCE.items())
    manifest = "without a MANIFEST.tsv"
    if about["manifest_sha256"]:
        manifest = (f"whose MANIFEST.tsv ({about['manifest_lines']} lines) has the sha256 "
                    f"`{about['manifest_sha256'][:16]}`")
    return Markdown(f"Of the {len(by_task)} tasks, {len(loads)} load from the recorded mirror, "
                    f"{len(own)} have a stand-in, {len(loads & own)} both and "
                    f"{len(neither)} neither ({', '.join(f'`{n}`' for n in neither)}). "
                    f"How the ids on the hub were checked: {counts}. "
                    f"Recorded on {about['made']} with `{about['command']}`, "
                    f"datasets {about['versions']['datasets']}, from a mirror {manifest}.")


def gaps() -> HTML:
    """Splits that the recorded mirror lacks, has without labels, or fills with something else than the official split.

    The last column says why."""
    by_task, parts, _ = availability.stored()
    lines = []
    for name, splits in by_task.items():
        absent = [line["split"] for line in splits if not line["file"]]
        if len(absent) == len(splits):
            note = tasks.get(name).note
            why = "no copy in this mirror" + (f"; {note}" if "hub" in note else "")
            lines.append({"task": name, "split": "all", "what": "absent", "why": escape(why)})
            continue
        if absent:
            why = parts[name]["fault"] or "our parts are made from the splits that exist"
            lines.append({"task": name, "split": ", ".join(absent), "what": "absent", "why": escape(why)})
        for line in splits:
            hidden = line["file"] and line["labelled"] == "0"
            foreign = any(word in line["note"].lower() for word in STANDS_IN)
            if hidden or foreign:
                what = "labels hidden" if hidden else "substitute"
                lines.append({"task": name, "split": line["split"], "what": what,
                              "why": escape(line["note"]) or "as on the hub"})
    return html(lines)


def licences() -> HTML:
    """The licence of every data set, as the mirror's builder found it. If it is not recorded, look it up before use."""
    found: dict[str, dict[str, set]] = {}
    for splits in availability.stored()[0].values():
        for line in splits:
            mine = found.setdefault(line["hub_id"], {"tasks": set(), "licence": set()})
            mine["tasks"].add(line["task"])
            mine["licence"] |= {line["licence"]} - {"", "not stated"}
    return html([{"data set": hub, "tasks": ", ".join(sorted(mine["tasks"])),
                  "licence": escape("; ".join(sorted(mine["licence"]))) or "not recorded"}
                 for hub, mine in sorted(found.items(), key=lambda item: item[0].lower())])
