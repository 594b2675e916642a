"""The models that ``suggest`` tries, from simple to deep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CANDIDATES", "Candidate"]


@dataclass(frozen=True)
class Candidate:
    """A model to try.

    Attributes:
        name: its name in the table, and that of its run directory.
        model: its row in the table of models.
        settings: those that differ from the defaults.
        deep: whether p(x) has a network with hidden layers.
        share: its part of the time, relative to those of the others that are still to come.
    """

    name: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    deep: bool = False
    share: float = 1.0


# A model that does not suit the data is left out, with its own refusal as the reason. What a model leaves of its share
# goes to those after it. Of two models that are equally good the earlier one is recommended.
CANDIDATES: tuple[Candidate, ...] = (
    Candidate("independent", "independent", share=0.5),
    Candidate("chow-liu", "chow-liu", share=0.5),
    Candidate("bernoulli-mixture", "bernoulli-mixture", {"restarts": 1}, share=3.0),
    Candidate("tree-mixture", "tree-mixture", share=3.0),
    Candidate("hidden-chow-liu", "hidden-chow-liu", share=3.0),
    Candidate("logistic-pca", "logistic-pca", share=2.0),
    Candidate("rbm", "rbm", share=3.0),
    Candidate("made", "made", deep=True, share=3.0),
    Candidate("gaussian-vae", "gaussian-vae", deep=True, share=3.0),
    Candidate("gaussian-vae-tree", "gaussian-vae", {"likelihood": "tree"}, deep=True, share=3.0),
)
