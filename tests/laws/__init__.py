"""The framework of the laws: models, exact sums, laws of what is drawn, and the table of the estimators' laws."""

from tests.laws.exact import (
    code_tuples,
    divergence_of,
    enumerate_bits,
    gradients,
    largest_difference,
    log_bernoulli,
    score_every_tuple,
)
from tests.laws.models import (
    BITS,
    LAYERED,
    MODELS,
    TABLE,
    VARIATIONAL,
    B,
    D,
    X,
    assert_batches_have_no_history,
    binary_data,
    build,
    observations_of,
    widths_of,
)

__all__ = [
    "BITS",
    "LAYERED",
    "MODELS",
    "TABLE",
    "VARIATIONAL",
    "B",
    "D",
    "X",
    "assert_batches_have_no_history",
    "binary_data",
    "build",
    "code_tuples",
    "divergence_of",
    "enumerate_bits",
    "gradients",
    "largest_difference",
    "log_bernoulli",
    "observations_of",
    "score_every_tuple",
    "widths_of",
]
