"""A nearest-neighbour classifier of images, for comparing samples with real images."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data import Dataset
from vaelab.errors import InputError
from vaelab.report.classes import not_classes

__all__ = ["Reader", "reader_of"]

_NEIGHBOURS = 5
_ENTRIES = 2**26  # of the images that are compared, at most


class Reader:
    """Classifies images by five nearest neighbours among the first 10 000 training images, fewer if they are wide.

    Nothing is trained or tuned. ``real`` is the share of the first 1000 test images on which all five neighbours
    agree, for comparison with samples.

    Raises:
        InputError: no labels to learn from, or labels that are not classes.
    """

    def __init__(self, data: Dataset) -> None:
        from sklearn.neighbors import KNeighborsClassifier  # here: scikit-learn takes a second, only figures need it

        train, test = data.splits["train"], data.splits["test"]
        if train.labels is None:  # rows on the disk
            train = data.splits["validation"]
        if train.labels is None:
            raise InputError("neither the training nor the validation split has labels")
        rows = max(_NEIGHBOURS, min(10_000, _ENTRIES // data.dim))  # sparse rows become dense here
        labels = train.labels[:rows]
        if len(labels) < _NEIGHBOURS:
            raise InputError(f"{len(labels)} labelled training rows are too few for {_NEIGHBOURS} neighbours")
        if reason := not_classes(labels):
            raise InputError(reason)
        scale = np.float32(data.scale)
        self.model = KNeighborsClassifier(_NEIGHBOURS).fit(train.x[:rows] / scale, labels)
        self.classes: npt.NDArray[Any] = self.model.classes_
        self.real = self.read(torch.from_numpy(test.x[:1000] / scale))[1]

    def read(self, images: Tensor) -> tuple[npt.NDArray[Any], float]:
        """Return the class of each row (N,), and the share of rows on which all five neighbours agree."""
        votes = self.model.predict_proba(images.cpu().numpy())
        return self.classes[votes.argmax(1)], float((votes.max(1) > 0.99).mean())


@cache
def reader_of(data: Dataset) -> Reader:
    """Return the reader of a labelled data set, made once."""
    return Reader(data)
