"""The archived studies by name, each a function: it computes, or loads, what the book shows archived in data/results.

`python -m unidelta.studies multi_task` computes one. A study takes longer than the build of the book may take. The
store keeps every stage, so a killed study goes on where it was, and studies share what they have in common. Notebooks
show what is archived.

A study takes a function that opens a `Run` with other settings, the seeds, and the unseen tasks to choose (all if there
are none). It returns the results of each of its parts by name.
"""

from unidelta.studies import draws, tables, variants

STUDIES = {f.__name__: f for f in (
    tables.multi_task, variants.reconstruction, tables.planes, tables.more_planes, tables.spread_planes,
    tables.dimension, tables.trained_directions, tables.simplified, tables.finetune, tables.absolute,
    variants.second_group, variants.fidelity, variants.objective, draws.backbones, tables.more_seeds, draws.settings,
    draws.many_settings, draws.many_weight, draws.stage1_settings, draws.stage1_again, draws.wider_mixtures,
    draws.wider_search, variants.spread, variants.spread_seeds, draws.spread_draws, draws.objective_draws,
    tables.long_answers, tables.real_rows)}
