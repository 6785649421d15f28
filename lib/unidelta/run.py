"""Fill the store from a shell: `python -m unidelta.run --profile embedded --train glue-sst2 --seeds 0,1,2`.

Runs the three stages, transfer and the controls for one training task and its unseen tasks, or with `--plane` only the
landscapes of the unseen tasks. What the store has is not computed again. The notebooks do the same by themselves; this
command exists so that several subspaces can be computed at once, one process each.
"""

import argparse
import logging
import sys
from collections.abc import Callable

from unidelta import params, suite, tasks
from unidelta.stages import landscape, optimize, original, transfer
from unidelta.stages.controls import controls, lengthened, rescaled
from unidelta.stages.workbench import Run

OWN = ("backbone", "source", "mirror", "device", "dtype", "compiled")


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that fills the store: the profile, changes to it, and seeds.

    Progress goes to stderr.
    """
    parser.add_argument("--profile", default="embedded", help="embedded, mini or paper")
    parser.add_argument("--seeds", default="0,1,2", help="comma separated")
    for name in OWN[:-1]:
        parser.add_argument(f"--{name}", help="replaces the profile's own value")
    parser.add_argument("--compiled", action="store_true", default=None,
                        help="compile the training steps, worthwhile in long trainings")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("unidelta").setLevel(logging.INFO)


def listed(text: str) -> list[str]:
    """Return the names in an option's text, split at commas.

    Raises ValueError for a text that is not empty but names nothing.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if text and not found:
        raise ValueError(f"{text!r} contains no name; allowed: names, comma separated")
    return found


def opened(args: argparse.Namespace, **own) -> Run:
    """Open the `Run` of a command's options.

    Raises ValueError for what is not allowed, including a mirror that nothing would read.
    """
    run = Run.open(args.profile, **{n: getattr(args, n) for n in OWN}, **own)
    if args.mirror and run.profile.source == "embedded":
        raise ValueError("--mirror has no effect with the embedded source: add --source mirror, or another profile")
    return run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--train", required=True, help="the training task of the subspace, by its CrossFit name")
    parser.add_argument("--tasks", default="", help="unseen tasks, comma separated; default: those of its category")
    parser.add_argument("--plane", type=int, default=0, help="instead of the stages: the landscape of every unseen "
                        "task, first seed, on this many test rows")
    options(parser)
    args = parser.parse_args(argv)
    try:
        run, seeds = opened(args), params.seeds(args.seeds, "--seeds")
        if args.plane < 0:
            raise ValueError(f"--plane {args.plane}: allowed are whole numbers from 1, "
                             "the test rows scored at every point")
        train = tasks.get(args.train).name
        served = suite.single(run.profile.source, run.profile.mirror)
        unseen = [tasks.get(t).name for t in listed(args.tasks)] or served.get(train)
        if not unseen:
            raise ValueError(f"{train!r} trains no single-task subspace; "
                             f"allowed: {', '.join(served)}")
        for task in (train, *unseen):  # faults of the data show before anything is computed
            run.data(task, seeds[0])
    except ValueError as error:
        sys.exit(f"unidelta.run: {error}")
    if args.plane:
        original(run, unseen, seeds=seeds[:1])  # heights are relative to these
        for task in unseen:
            landscape(run, [train], task, seeds[:1], rows=args.plane)
        return
    original(run, [train, *unseen], seeds=seeds)
    transfer(run, [train], unseen, seeds=seeds)
    optimize(run, [train], unseen, seeds=seeds, up="random")
    controls(run, [train], unseen, seeds)
    lengthened(run, [train], unseen, seeds)
    rescaled(run, [train], unseen, seeds)


def from_shell(command: Callable[[], None], name: str) -> None:
    """Run a command that fills the store; an interrupt, or a store that cannot be written, ends it in one line."""
    try:
        command()
    except params.ParameterError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        print(f"{name}: stopped; what is finished is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    from_shell(main, "unidelta.run")
