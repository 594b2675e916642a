"""Data sets: named ones, files and arrays, their binarisation, and batches from memory or the disk."""

from __future__ import annotations

from vaelab.data.batches import Batches
from vaelab.data.binarisation import Binarisation
from vaelab.data.columns import order_columns
from vaelab.data.condition import Condition
from vaelab.data.content import RawTable
from vaelab.data.dataset import Dataset, require_dataset
from vaelab.data.describe import describe
from vaelab.data.kinds import UnclearColumns
from vaelab.data.load import DATASETS, load_data
from vaelab.data.observations import Observations, Resident
from vaelab.data.readers import read_table
from vaelab.data.spec import DataSpec
from vaelab.data.splits import Split
from vaelab.data.streaming.observations import Streamed
from vaelab.data.values import Values
from vaelab.data.variables import Column, ColumnKind

__all__ = [
    "DATASETS",
    "Batches",
    "Binarisation",
    "Column",
    "ColumnKind",
    "Condition",
    "DataSpec",
    "Dataset",
    "Observations",
    "RawTable",
    "Resident",
    "Split",
    "Streamed",
    "UnclearColumns",
    "Values",
    "describe",
    "load_data",
    "order_columns",
    "read_table",
    "require_dataset",
]
