"""What an artifact or a page was made with. It is recorded beside results and never part of their identity."""

import functools
import importlib.metadata
import platform
import re
import subprocess
import time
from pathlib import Path

from unidelta import ROOT

PACKAGES = ("torch", "transformers", "datasets", "unidelta")


def current() -> dict:
    """Time (UTC), versions, machine, threads, commit, and whether there were uncommitted changes."""
    import torch
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **_machine(),
            "gpu": gpu, "threads": torch.get_num_threads()}


@functools.cache
def _machine() -> dict:
    versions = {name: _version(name) for name in PACKAGES}
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", info.read_text(encoding="utf-8")) if info.exists() else []
    commit = _git("rev-parse", "HEAD")
    return {"python": platform.python_version(), **versions, "platform": platform.platform(),
            "cpu": models[0] if models else platform.processor(),
            "git_commit": commit, "git_dirty": bool(_git("status", "--porcelain")) if commit else None}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # run from the source tree, not installed


def _git(*command: str) -> str | None:
    """Output of a git command in the project; None without git, without a repository or without a commit."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *command], check=False, capture_output=True, text=True,
                              timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
