"""The likelihood of bits that depend on each other along a tree."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from vaelab.data import Dataset, DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.distributions import Forest, Tree
from vaelab.likelihoods.chow_liu import Pairs, chow_liu_tree
from vaelab.likelihoods.columns import ColumnLikelihood
from vaelab.networks import MLP, Build, Size

__all__ = ["TreeLikelihood"]

_NOT_KNOWN = -2  # in ``parents``


class TreeLikelihood(ColumnLikelihood):
    """p(x|z): each bit of x depends on z and on one other bit, its parent in a tree of the columns.

    Formula: `log p(x|z) = sum_j [x_j l_j - log(1 + exp l_j)], l_j = f_j0 + x_pa f_j1`, with the parent pa of column j
    and two numbers f(z) of a network for each column: its logit where the parent is 0, and the change of it where the
    parent is 1. So what z says of a column is learned from all rows, not only from those with one value of the parent.

    The tree is that of Chow and Liu, of the training rows: the spanning tree with the largest mutual informations of
    its edges. It is learned once, when the model is built for a data set, and kept with the weights. Where the network
    ends in a bias for each number, that bias starts at the logits of the training rows. Values of x may be missing: the
    others have their exact marginal.

    Source: Chow & Liu (1968), https://doi.org/10.1109/TIT.1968.1054142.

    Args:
        latent_dim: size of the code D.
        data: the data set. With its spec or a number of columns alone, the tree is not known until weights are loaded.
        network: from the sizes of input and output to a module; a linear map by default.

    Raises:
        InputError: columns that are no bits, or more than 5,000; when p(x|z) is used, a tree that is not known.

    >>> from vaelab.data import Dataset, Split
    >>> rows = torch.tensor([[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=torch.uint8).repeat(5, 1).numpy()
    >>> likelihood = TreeLikelihood(2, Dataset("twins", {"train": Split(rows)}, "binary", 1))
    >>> likelihood.parents  # the first and the last column are equal
    tensor([-1,  0,  0])
    >>> likelihood(torch.zeros(7, 2))
    Tree(off: (7, 3), on: (7, 3))
    """

    name: ClassVar[str] = "tree"
    kinds: ClassVar[tuple[ColumnKind, ...]] = ("binary",)
    numbers: ClassVar[int] = 2
    parents: Tensor
    changes: Tensor  # whether f_j1 is a change: in files of earlier versions it is the logit where the parent is 1

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build | None = MLP) -> None:
        super().__init__(latent_dim, data, network)
        self.register_buffer("parents", torch.full((self.spec.dim,), _NOT_KNOWN))
        self.register_buffer("changes", torch.tensor(True))
        self.forest: Forest | None = None
        self.of_earlier = False
        if isinstance(data, Dataset):
            self.learn_from(data)

    def distribution(self, numbers: Tensor) -> Tree:
        off, change = numbers.split(self.spec.dim, -1)
        self.forest = None if self.forest is None else self.forest.to(numbers.device)
        return Tree(off, change if self.of_earlier else off + change, self.forest)

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        if spec.mean is None:
            return None
        off = torch.logit(spec.mean.clamp(0.001, 0.999))
        return torch.cat([off, torch.zeros_like(off)])

    def learn_from(self, data: Dataset) -> None:
        """Learn the tree from the training rows, unless it is known; the network starts at their logits."""
        if self.forest is not None or "train" not in data.splits:
            return
        with torch.device("cpu"):
            pairs = Pairs.of(data)
            parents = chow_liu_tree(pairs.mutual_information())
            off, on = (p.logit() for p in pairs.tables(parents))
            self.start_at(torch.cat([off, on - off]))
        self.set_parents(parents)

    def set_parents(self, parents: Tensor) -> None:
        """Set the tree: the parent of each column, (X,), -1 for a root.

        Raises:
            InputError: parents that are no tree, or several.
        """
        self.forest = Forest.of(parents)
        self.parents.copy_(self.forest.parents)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        state.setdefault(f"{prefix}changes", torch.tensor(False))
        super()._load_from_state_dict(state, prefix, *args)
        self.of_earlier = not bool(self.changes)
        known = not bool((self.parents == _NOT_KNOWN).any())
        self.forest = Forest.of(self.parents) if known else None
