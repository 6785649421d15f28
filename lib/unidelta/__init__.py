"""An executable companion to "Different Tunes Played with Equal Skill": one optimisation subspace for delta tuning."""
import warnings

# progress bars of the libraries below ask for widgets that the notebooks do without
warnings.filterwarnings("ignore", message="IProgress not found")
