"""From artifacts to the tables of the book: relative performance, intervals, controls, and the source of each number.

`check` and `open_run` (or `open_served`, for one unseen task) turn a notebook's parameters into a `Run` (module
`opening`). `collect` computes or loads every stage for some unseen tasks and puts the scores into one long frame
(`results`). Functions turn that frame into numbers (`measures`), HTML tables (`tables`; of several settings side by
side, `comparing`), pictures (`figures`) and Markdown sentences (`prose`, `claims`). `archive` keeps such frames as
data. The other modules each serve one chapter.
"""

from unidelta.report.measures import (
    CONTROLS,
    FLAG,
    MARGIN,
    interval,
    number,
    over_seeds,
    recovered,
    relative,
    rows_of,
    weak,
)
from unidelta.report.opening import check, compare, one_line, open_run, open_served, positive_whole, variants
from unidelta.report.results import (
    Results,
    caption,
    collect,
    collect_original,
    collect_shared,
    collect_trained,
    provenance,
    provenances,
    setting,
)

__all__ = ["CONTROLS", "FLAG", "MARGIN", "Results", "caption", "check", "collect", "collect_original", "collect_shared",
           "collect_trained", "compare", "interval", "number", "one_line", "open_run", "open_served", "over_seeds",
           "positive_whole", "provenance", "provenances", "recovered", "relative", "rows_of", "setting", "variants",
           "weak"]
