"""How rows become splits: a column says it, or they are drawn, with a seed, by labels or by groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data.content import SPLITS
from vaelab.data.naming import listed
from vaelab.data.values import Array
from vaelab.errors import InputError, did_you_mean, require_int
from vaelab.seeds import DATA_SEED

__all__ = ["SPLIT_WORDS", "Splitting", "rows_of_names", "rows_of_splits"]

Numbers = npt.NDArray[np.int64]
SPLIT_WORDS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_PARTS = 10  # one is for validation, one for test, eight are for training


@dataclass(frozen=True)
class Splitting:
    """How the rows of one table or array become train, validation and test.

    Args:
        whole: whether they stay one split, ``all``.
        column: the column that names the split of each row.
        group_column: the column that names the group of each row; a group is in one split.
        stratify: whether each class of the labels has the same share in each split.
        seed: of what is drawn.

    Raises:
        InputError: two that contradict each other, or a seed that is not a whole number from 0 on.
    """

    whole: bool = False
    column: str | None = None
    group_column: str | None = None
    stratify: bool = False
    seed: int = DATA_SEED

    def __post_init__(self) -> None:
        require_int("split_seed", self.seed, 0)
        drawn = {"group_column": self.group_column is not None, "stratify": self.stratify}
        for name, given in drawn.items():
            if given and self.column is not None:
                raise InputError(f"{name}: expected none beside split_column, which says the split of each row")
        if self.whole and (self.column is not None or any(drawn.values())):
            raise InputError("split: expected True beside split_column, group_column or stratify; got False")

    def note(self, grouped: bool) -> str:
        """Return how the rows were drawn, in a sentence; by groups or not."""
        how = [] if not grouped else ["by groups"]
        how += ["each class with the same share"] if self.stratify else []
        drawn = f"shuffled with seed {self.seed}"
        return f"split 80 % / 10 % / 10 % into train, validation and test, {', '.join([*how, drawn])}"


def rows_of_names(where: object, names: Array) -> dict[str, Numbers]:
    """Return the rows of each split, ascending, from the name of the split of each row.

    Raises:
        InputError: other names than those of splits, or no row to train on.

    >>> {name: rows.tolist() for name, rows in rows_of_names("data", np.array(["train", "test", "train"])).items()}
    {'train': [0, 2], 'test': [1]}
    """
    words = [word.strip().lower() if isinstance(word, str) else word for word in names.tolist()]
    for row, word in enumerate(words):
        if word not in _OF:
            hint = did_you_mean(str(word), SPLITS)
            raise InputError(
                f"{where}: expected {', '.join(SPLITS)} as the split of a row; got {word!r} in row {row}{hint}"
            )
    found = np.array([_OF[word] for word in words])
    rows = {split: np.flatnonzero(found == split) for split in SPLITS}
    if not len(rows["train"]):
        raise InputError(f"{where}: expected some rows of the split train; got {listed(sorted(set(words)))} only")
    return {split: numbers for split, numbers in rows.items() if len(numbers)}


def rows_of_splits(
    where: object, count: int, splitting: Splitting, labels: Array | None = None, groups: Array | None = None
) -> dict[str, Numbers]:
    """Draw a tenth of the rows for validation and a tenth for test; the others are for training.

    Raises:
        InputError: fewer than ten rows, groups, or rows of a class; labels that are asked for and not there.

    >>> rows = rows_of_splits("data", 100, Splitting())
    >>> {name: len(numbers) for name, numbers in rows.items()}
    {'train': 80, 'validation': 10, 'test': 10}
    """
    if count < _PARTS:
        raise InputError(f"{where}: expected at least 10 rows to split into train, validation and test; got {count}")
    if splitting.stratify and labels is None:
        raise InputError(
            f"{where}: stratify: expected labels, whose classes have the same share in each split; got none"
        )
    if groups is not None:
        return _by_groups(where, splitting, groups, labels if splitting.stratify else None)
    if splitting.stratify and labels is not None:
        return _by_classes(where, splitting, labels)
    order = np.random.default_rng(splitting.seed).permutation(count)
    held_out = count // _PARTS
    parts = np.split(order, [count - 2 * held_out, count - held_out])
    return dict(zip(SPLITS, parts, strict=True))


def _by_classes(where: object, splitting: Splitting, labels: Array) -> dict[str, Numbers]:
    from sklearn.model_selection import StratifiedKFold

    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < _PARTS:
        least = int(counts.argmin())
        raise InputError(
            f"{where}: stratify: expected at least 10 rows of each class; got {counts[least]} of {classes[least]}"
        )
    folds = StratifiedKFold(_PARTS, shuffle=True, random_state=splitting.seed % 2**32)
    return _of_folds(folds.split(labels, labels))


def _by_groups(where: object, splitting: Splitting, groups: Array, labels: Array | None) -> dict[str, Numbers]:
    """Draw whole groups: a tenth of them, or those that give each class its share."""
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    names, numbers = np.unique(groups, return_inverse=True)
    if len(names) < _PARTS:
        raise InputError(
            f"{where}: expected at least 10 groups to split into train, validation and test; got {len(names)}"
        )
    if labels is not None:
        folds = StratifiedGroupKFold(_PARTS, shuffle=True, random_state=splitting.seed % 2**32)
        return _of_folds(folds.split(numbers, labels, numbers))
    tenth = GroupShuffleSplit(1, test_size=len(names) // _PARTS, random_state=splitting.seed % 2**32)
    ((others, test),) = tenth.split(numbers, groups=numbers)
    ((train, validation),) = tenth.split(others, groups=numbers[others])
    return {"train": others[train], "validation": others[validation], "test": test}


def _of_folds(folds: Any) -> dict[str, Numbers]:
    """Return the first fold as validation, the second as test, and the others as train."""
    (others, validation), (_, test) = next(folds), next(folds)
    return {"train": np.setdiff1d(others, test), "validation": validation, "test": test}
