"""vaelab: fit, check, compare and explore deep latent-variable models of binary data."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from vaelab.data import Dataset, DataSpec, Split, load_data
    from vaelab.evaluation import diagnose, evaluate, impute
    from vaelab.explorer import explore
    from vaelab.models import (
        DensityModel,
        LatentVariableModel,
        autoencoder,
        bernoulli_mixture,
        bernoulli_vae,
        chow_liu,
        deep_gaussian_vae,
        gaussian_vae,
        hidden_chow_liu,
        independent,
        logistic_pca,
        made,
        rbm,
        sbn,
        tree_mixture,
    )
    from vaelab.runs import Run, from_pretrained, load
    from vaelab.seeds import seeded
    from vaelab.studies import suggest
    from vaelab.training import fit, fit_prior

# The room of each name. A room is imported when it, or a name from it, is first used: torch takes a second to import,
# and `vaelab --help` does not need it.
_ROOM_OF = {
    "DataSpec": "data",
    "Dataset": "data",
    "Split": "data",
    "load_data": "data",
    "diagnose": "evaluation",
    "evaluate": "evaluation",
    "impute": "evaluation",
    "DensityModel": "models",
    "LatentVariableModel": "models",
    "autoencoder": "models",
    "bernoulli_vae": "models",
    "chow_liu": "models",
    "deep_gaussian_vae": "models",
    "gaussian_vae": "models",
    "independent": "models",
    "bernoulli_mixture": "models",
    "tree_mixture": "models",
    "hidden_chow_liu": "models",
    "logistic_pca": "models",
    "made": "models",
    "rbm": "models",
    "sbn": "models",
    "seeded": "seeds",
    "suggest": "studies",
    "Run": "runs",
    "from_pretrained": "runs",
    "load": "runs",
    "fit": "training",
    "fit_prior": "training",
    "explore": "explorer",
}

__all__ = [
    "DataSpec",
    "Dataset",
    "DensityModel",
    "LatentVariableModel",
    "Run",
    "Split",
    "__version__",
    "autoencoder",
    "bernoulli_mixture",
    "bernoulli_vae",
    "chow_liu",
    "deep_gaussian_vae",
    "diagnose",
    "evaluate",
    "explore",
    "fit",
    "fit_prior",
    "from_pretrained",
    "gaussian_vae",
    "hidden_chow_liu",
    "impute",
    "independent",
    "load",
    "load_data",
    "logistic_pca",
    "made",
    "rbm",
    "sbn",
    "seeded",
    "suggest",
    "tree_mixture",
]


def _rooms() -> set[str]:
    """Return the names of the modules of this package."""
    return {module.name for module in iter_modules(__path__)} - {"__main__"}


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        return getattr(import_module(f"vaelab.{_ROOM_OF[name]}"), name)
    if name in _rooms():
        return import_module(f"vaelab.{name}")
    raise AttributeError(f"module 'vaelab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_rooms()})
