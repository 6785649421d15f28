"""An executable companion to "Different Tunes Played with Equal Skill": one optimisation subspace for delta tuning."""
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the clone, in which data, results and the commit are looked up

if not (ROOT / "data" / "tasks.tsv").is_file():
    raise ImportError(f"unidelta needs the folder data of its repository, and there is none in {ROOT}: "
                      "install it from a clone with `pip install -e .`")

# the progress bars of some libraries ask for widgets that the notebooks do not need
warnings.filterwarnings("ignore", message="IProgress not found")
