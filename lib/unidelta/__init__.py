"""An executable companion to "Different Tunes Played with Equal Skill": one optimisation subspace for delta tuning."""
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the clone: data, results and commit are looked for there

# progress bars of the libraries below ask for widgets that the notebooks do without
warnings.filterwarnings("ignore", message="IProgress not found")
