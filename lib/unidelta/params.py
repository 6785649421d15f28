"""Check a notebook's parameters: its second cell calls `check(globals(), allowed=...)`.

papermill only warns of misspelt names, injects them all the same, and guesses types. Here the cell of defaults, which
begins with `# parameters`, is the declaration; papermill adds a cell after it that begins with `# Parameters`. Both are
read from the kernel's history, because a running notebook does not know its file. Whatever is wrong is told in one line
and stops the run.
"""

import ast
import builtins
import difflib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from unidelta.checks import SEEDS


class ParameterError(ValueError):
    """A parameter that cannot be used; notebooks show its message as one line, without a traceback."""

    def _render_traceback_(self, *_: Any) -> list[str]:  # IPython's hook for exceptions that can show themselves
        return [f"ParameterError: {self}"]


@contextmanager
def one_line() -> Iterator[None]:
    """Turn a ValueError raised inside into a ParameterError, which is shown as one line without a traceback."""
    try:
        yield
    except ValueError as error:
        raise ParameterError(" ".join(str(error).split())) from None


def check(namespace: dict, allowed: dict[str, Collection | Callable | type] | None = None,
          known: Collection[str] | None = None) -> SimpleNamespace:
    """Return the parameters in force, as attributes, checked against the notebook's defaults and against `allowed`.

    `allowed[name]` is a collection of values, a predicate whose docstring says what it accepts, or, where the default
    is None, a type (None stays allowed). A float may be given as a whole number, and a text as a number (papermill
    turns "0" into 0); converted values are put back into `namespace`. known: the names that parameters may have, where
    these are limited. Outside notebooks, in exported scripts, every plain value in `namespace` counts as a parameter.
    Raises ParameterError, which tells everything that is wrong, and what is allowed, in one line.
    """
    allowed = allowed or {}
    defaults, injected = _declared(namespace)
    wrong = [f"unknown parameter {name!r}{_instead(name, defaults)}" for name in injected if name not in defaults]
    wrong += [f"unknown parameter {name!r}: allowed are {_listed(known)}, "
              f"and any name for which the check is given a rule, such as {name}=float"
              for name in defaults if known is not None and name not in known]
    wrong += [f"the parameters cell has no {name!r}" for name in allowed if name not in {*defaults, *injected}]
    for name, default in defaults.items():
        value, rule = namespace.get(name, default), allowed.get(name)
        if default is not None:
            kind = type(default)
        else:
            kind = rule if isinstance(rule, type) else type(value)
        if kind in (float, str) and type(value) in (int, float):
            value = kind(value)
        problem = ""
        if value is None and default is None:
            pass  # left open
        elif value == "" and default is None:
            problem = ": leave it out, or give it a value"
        elif type(value) is not kind:
            example = "" if default is None else f", such as {default!r}"
            problem = f": it must be of type {kind.__name__}{example}"
        elif rule is not None and not isinstance(rule, type):
            problem = _against(rule, value)
        if problem:
            wrong.append(f"{name} is {value!r}{problem}")
        defaults[name] = value
    if wrong:
        raise ParameterError("; ".join(wrong))
    namespace.update(defaults)
    return SimpleNamespace(**defaults)


def names(value: Any, allowed: Collection, what: str = "name") -> list:
    """Members of `allowed` chosen by "all", "a,b", '["a", "b"]', a member or a list: in the order given, once each.

    Raises ParameterError if there is nothing to choose from, if nothing is chosen, or for what is no member.
    """
    if not allowed:
        raise ParameterError(f"there is no {what} to choose from here")
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ParameterError(f"{what} is {value!r}: not a list in JSON ({error.msg})") from None
    if isinstance(value, str):
        value = list(allowed) if value.strip() == "all" else [part.strip() for part in value.split(",") if part.strip()]
    known = {str(member): member for member in allowed}  # by text, so that "0,1" chooses among numbers
    parts = value if isinstance(value, (list, tuple)) else [value]
    chosen = list(dict.fromkeys(str(part) for part in parts))
    for part in chosen:
        if part not in known:
            raise ParameterError(f"{what} {part!r} is unknown{_instead(part, allowed)}, or all")
    if not chosen:
        raise ParameterError(f"no {what} given: allowed are {_listed(allowed)}, or all")
    return [known[part] for part in chosen]


def seeds(given: str | int | Sequence, what: str = "seeds") -> list[int]:
    """The seeds in a text such as "0,1,2", once each; a number or a list of them will do, too.

    Raises ParameterError unless all are whole numbers in SEEDS.
    """
    text = ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given)
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) in SEEDS for part in parts):
        raise ParameterError(f"{what} {text!r}: allowed are whole numbers up to {SEEDS[-1]}, comma separated, "
                             "such as 0,1,2")
    return list(dict.fromkeys(map(int, parts)))


def given(namespace: dict) -> list[str]:
    """Names of the parameters that were given a value other than the notebook's default."""
    defaults, injected = _declared(namespace)
    return [name for name in injected if name in defaults and namespace.get(name, defaults[name]) != defaults[name]]


def _declared(namespace: dict) -> tuple[dict, list[str]]:
    """Defaults in the last cell that begins with `# parameters`, and the names injected after it."""
    shell = getattr(builtins, "get_ipython", lambda: None)()
    cells = []
    if shell is not None and namespace is shell.user_ns:
        cells = [cell.strip() for cell in shell.history_manager.input_hist_raw]
    if not any(cells):  # a script; or nbval, which runs the cells of a notebook without keeping any history
        plain = (bool, int, float, str, list, type(None))
        return {k: v for k, v in namespace.items() if not k.startswith("_") and k != "In" and isinstance(v, plain)}, []
    marks = [cell.split("\n")[0].strip() for cell in cells]
    if "# parameters" not in marks:
        raise ParameterError("run the cell that begins with '# parameters' first")
    if "# Parameters" in marks[:marks.index("# parameters")]:  # papermill puts it first where it finds no such tag
        raise ParameterError("the cell that begins with '# parameters' has lost its tag `parameters`: "
                             "without it -p changes nothing")
    last = len(marks) - 1 - marks[::-1].index("# parameters")
    injected = [cell for cell, mark in zip(cells[last:], marks[last:], strict=True) if mark == "# Parameters"]
    return _literals(cells[last]), [node.targets[0].id for cell in injected for node in ast.parse(cell).body]


def _literals(cell: str) -> dict:
    try:
        return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell).body}
    except (AttributeError, ValueError):
        raise ParameterError("the cell that begins with '# parameters' may only hold `name = literal`") from None


def _against(rule: Collection | Callable, value: Any) -> str:
    """What is wrong with `value`, as the rest of a sentence; empty if nothing is."""
    if callable(rule):
        return "" if rule(value) else f": it must be {(rule.__doc__ or rule.__name__).strip()}"
    members = value if isinstance(value, list) else [value]
    return next((_instead(member, rule) for member in members if member not in rule), "")


def _instead(word: Any, allowed: Collection) -> str:
    close = difflib.get_close_matches(str(word), [str(member) for member in allowed], n=1)
    return (f" (did you mean {close[0]!r}?)" if close else "") + f": allowed are {_listed(allowed)}"


def _listed(allowed: Collection) -> str:
    if isinstance(allowed, range):
        return f"{allowed[0]} to {allowed[-1]}"
    return ", ".join(str(member) for member in allowed)
