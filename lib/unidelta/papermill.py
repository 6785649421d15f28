"""The command `papermill` of this environment: papermill itself, but the output path may be left out.

Without one, papermill asks for it in a terminal; behind a pipe it takes the notebook's path as the output and
overwrites the notebook. Here a missing output path is NAME.out.ipynb in the current folder, or standard output where
that leads to a file or another program. A wrong parameter is answered in one line.
"""

import logging
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from papermill.cli import papermill
from papermill.exceptions import PapermillExecutionError

# papermill does not read a default that has an equals sign in it, such as that of `variants`, and then warns of that
# parameter as unknown
UNREAD = ("Passed unknown parameter: variants", "Unable to parse line")


def main() -> None:
    for name in ("papermill", "papermill.translators"):
        logging.getLogger(name).addFilter(lambda record: not record.getMessage().startswith(UNREAD))
    args = sys.argv[1:]
    given = papermill.make_context("papermill", list(args), resilient_parsing=True).params
    notebook, output = given["notebook_path"], given["output_path"]
    if notebook and notebook != "-" and not output:
        output = f"{Path(notebook).stem}.out.ipynb" if sys.stdout.isatty() else "-"
        args.append(output)
    file = Path(output) if output and output != "-" and "://" not in output else None
    if notebook and notebook != "-" and "://" not in notebook and not Path(notebook).is_file():
        sys.exit(f"papermill: there is no notebook {notebook!r} here; "
                 "allowed: the path of one, such as notebooks/03_transfer.ipynb")
    if notebook and notebook != "-" and not notebook.endswith(".ipynb"):
        sys.exit(f"papermill: {notebook!r} is no notebook; "
                 "allowed: the path of one, such as notebooks/03_transfer.ipynb")
    if file and not file.parent.is_dir():
        sys.exit(f"papermill: there is no folder {str(file.parent)!r} for the output; "
                 "allowed: a path in an existing folder")
    before = file.read_bytes() if file and file.is_file() else None
    try:
        papermill.main(args=args, prog_name="papermill")
    except (PapermillExecutionError, NoSuchKernel) as error:
        if isinstance(error, NoSuchKernel):
            told = (f"papermill: there is no kernel {error.name!r} here; "
                    f"allowed: {', '.join(sorted(KernelSpecManager().find_kernel_specs()))}")
        elif error.ename == "ParameterError":
            told = f"{error.ename}: {error.evalue}"
        else:
            raise
        # no page came of it (what the store holds by then stays): remove what papermill began to write, and restore
        # what was there before
        if file and before is None:
            file.unlink(missing_ok=True)
        elif file:
            file.write_bytes(before)
        sys.exit(told)


if __name__ == "__main__":
    main()
