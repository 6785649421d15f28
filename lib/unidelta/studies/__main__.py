"""Compute one archived study into data/results."""

import argparse
import os
import sys
from pathlib import Path

from unidelta import params, report
from unidelta import run as command
from unidelta.params import ParameterError
from unidelta.report import archive
from unidelta.stages.workbench import Run
from unidelta.studies import STUDIES


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m unidelta.studies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog="studies:\n" + "\n".join(f"  {name:18} {f.__doc__}" for name, f in STUDIES.items()))
    parser.add_argument("name", help=f"the study: {', '.join(STUDIES)}")
    parser.add_argument("--tasks", default="", help="some of the study's unseen tasks, comma separated")
    parser.add_argument("--steps", type=int, help="cap on the steps of every stage, for a trial")
    parser.add_argument("--out", type=Path, help="a folder to archive into, instead of data/results; needed with any "
                        "other option, except those of real_rows")
    command.options(parser)
    args = parser.parse_args(argv)
    own = {n: getattr(args, n) for n in ("steps", *command.OWN)}

    def open_run(**settings):
        for name in settings:
            if own.get(name) is not None:
                raise ParameterError(f"--{name} has no effect on {args.name}, which sets it itself: leave it out")
        return Run.open(args.profile, **own | settings)
    try:
        if args.name not in STUDIES:
            raise ParameterError(f"no study {args.name!r}; allowed: {', '.join(STUDIES)}")
        with report.one_line():
            seeds, only = params.seeds(args.seeds, "--seeds"), command.listed(args.tasks)
            # a wrong setting, or a faulty source, shows at once
            run = command.opened(args, steps=args.steps)
            run.data("rotten_tomatoes", 0)
        if args.name == "real_rows" and run.profile.source == "embedded":
            raise ParameterError("real_rows needs real rows, not stand-ins; "
                                 "allowed: --profile mini --mirror FOLDER, or another source than embedded")
        usual = vars(parser.parse_args([args.name]))
        if args.name == "real_rows":
            usual |= {"profile": "mini", "mirror": args.mirror}
        other = [f"--{n}" for n, value in vars(args).items() if value != usual[n]]
        if args.out is None and other:
            raise ParameterError(f"{', '.join(other)}: data/results, which the book shows, is for studies run with the "
                                 "usual options; allowed: another folder, --out FOLDER")
        if args.out is not None:  # a folder that cannot be made shows before hours of work
            nearest = next(p for p in (args.out.absolute(), *args.out.absolute().parents) if p.exists())
            if not nearest.is_dir() or not os.access(nearest, os.W_OK) or args.out == Path():
                raise ParameterError(f"--out {args.out} is, or lies below, a file, or cannot be written; "
                                     "allowed: a folder other than the present one, or the name of a new one")
        found = STUDIES[args.name](open_run, seeds, only)
    except ParameterError as error:
        print(f"unidelta.studies: {error}", file=sys.stderr)
        sys.exit(2)
    folder, first = archive.save(found, args.name, args.out), next(iter(found.values()))
    print(f"{folder}: {'; '.join(found)}; {report.setting(first.run, first.seeds)}")


if __name__ == "__main__":
    command.from_shell(main, "unidelta.studies")
