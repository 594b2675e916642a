"""What a model is told of the data: shape and kind of an observation, mean and names of the columns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor

from vaelab.data.binarisation import Binarisation, protocol_of
from vaelab.data.condition import Condition
from vaelab.data.values import Kind
from vaelab.errors import InputError, require_choice, require_int, shown

if TYPE_CHECKING:
    from vaelab.data.dataset import Dataset

__all__ = ["DataSpec"]


@dataclass(frozen=True, eq=False)
class DataSpec:
    """What a model is told of the data, so that a data set of this form fits it.

    Observations are rows (B, X) everywhere; ``event_shape`` is the shape of one of them, (X,) for a row of a table and
    (H, W) for an image. X is the product of its sizes.

    Args:
        event_shape: (X,) or (H, W).
        mean: mean of each column of the training split, shape (X,), in [0, 1]; None if it is not known. It centres an
            encoder's input and starts a decoder's output bias.
        columns: names of the X columns, or None.
        kind: ``binary`` for 0 and 1, ``grey`` for grey levels in [0, 1].
        may_be_missing: whether some values are not observed.
        binarisation: how grey levels become the bits that the model sees, or None if that is not known.
        condition: what a model is given beside an observation; None if it models all columns alone.

    Raises:
        InputError: a shape that is not one or two sizes of at least 1, a mean or names that do not fit it, an unknown
            kind.

    >>> spec = DataSpec((28, 28))
    >>> spec.dim, spec.image_shape
    (784, (28, 28))
    """

    event_shape: tuple[int, ...]
    mean: Tensor | None = None
    columns: tuple[str, ...] | None = None
    kind: Kind = "binary"
    may_be_missing: bool = False
    binarisation: Binarisation | None = None
    condition: Condition | None = None

    def __post_init__(self) -> None:
        shape = self.event_shape
        if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) not in (1, 2):
            raise InputError(f"event_shape: expected (X,) or (H, W); got {shown(shape)}")
        sizes = tuple(require_int(f"event_shape[{axis}]", size, 1) for axis, size in enumerate(shape))
        object.__setattr__(self, "event_shape", sizes)
        require_choice("kind", self.kind, get_args(Kind))
        protocol_of("of the spec", self.kind, self.binarisation)
        if self.mean is not None:
            object.__setattr__(self, "mean", self._checked_mean(self.mean))
        if self.columns is not None:
            names = tuple(self.columns)
            if len(set(names)) != self.dim or len(names) != self.dim:
                raise InputError(
                    f"columns: expected {self.dim} different names of columns; got {len(names)} names, "
                    f"{len(set(names))} of them different"
                )
            object.__setattr__(self, "columns", names)

    def __repr__(self) -> str:
        """Return what the spec says, in a line: the average of the mean, and the first names of columns.

        >>> DataSpec((3,), torch.tensor([0.2, 0.4, 0.6]), ("tea", "milk", "sugar"), binarisation="none")
        DataSpec((3,), 'binary', binarisation='none', mean=0.4 on average, columns=tea, milk, ...)
        """
        parts = [repr(self.event_shape), repr(self.kind)]
        parts += [] if self.binarisation is None else [f"binarisation={self.binarisation!r}"]
        parts += [] if self.mean is None else [f"mean={float(self.mean.mean()):.3g} on average"]
        if self.columns is not None:
            parts.append(f"columns={', '.join(self.columns[:2])}{', ...' if len(self.columns) > 2 else ''}")
        parts += [] if self.condition is None else [f"condition={self.condition}"]
        return f"DataSpec({', '.join(parts)}{', may be missing' if self.may_be_missing else ''})"

    def _checked_mean(self, mean: object) -> Tensor:
        if not isinstance(mean, Tensor):
            raise InputError(f"mean: expected a tensor of shape ({self.dim},); got {type(mean).__name__}")
        if tuple(mean.shape) != (self.dim,):
            raise InputError(f"mean: expected shape ({self.dim},); got {tuple(mean.shape)}")
        if not bool(((mean >= 0) & (mean <= 1)).all()):
            raise InputError(f"mean: expected numbers in [0, 1]; got some in [{mean.min():g}, {mean.max():g}]")
        return mean.detach()

    @classmethod
    def of(cls, data: Dataset | DataSpec | int) -> DataSpec:
        """Return the spec of a data set, a spec as it is, or for a number X that of rows of X bits.

        Raises:
            InputError: neither a data set, nor a spec, nor a number of columns of at least 1.

        >>> DataSpec.of(784).event_shape
        (784,)
        """
        if isinstance(data, DataSpec):
            return data
        spec = getattr(data, "spec", None)
        if isinstance(spec, DataSpec):
            return spec
        if isinstance(data, bool) or not isinstance(data, Integral):
            raise InputError(
                f"data: expected a data set, a DataSpec or a number of columns; got {type(data).__name__}"
                f"{'; Dataset.from_arrays(x) makes a data set of it' if hasattr(data, 'shape') else ''}"
            )
        return cls((require_int("data", data, 1),))

    @property
    def dim(self) -> int:
        """Number of columns X of an observation."""
        return math.prod(self.event_shape)

    @property
    def given(self) -> int:
        """Number of columns Y that are given: a row that a model gets has X + Y columns."""
        return 0 if self.condition is None else self.condition.size

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Shape (H, W) if an observation is an image, else None."""
        return (self.event_shape[0], self.event_shape[1]) if len(self.event_shape) == 2 else None

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain values for a JSON file; the mean is represented by its SHA-256.

        The weights of a model hold what it uses of the mean, so a file of a model need not repeat it.

        >>> DataSpec((2,), columns=("a", "b")).to_json()["columns"]
        ['a', 'b']
        """
        return {
            "event_shape": list(self.event_shape),
            "kind": self.kind,
            "columns": None if self.columns is None else list(self.columns),
            "may_be_missing": self.may_be_missing,
            "binarisation": self.binarisation,
            "condition": None if self.condition is None else self.condition.to_json(),
            "mean_sha256": None if self.mean is None else _sha256(self.mean),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DataSpec:
        """Return the spec that :meth:`to_json` wrote, without its mean.

        Raises:
            InputError: keys that are missing or unknown, or values that are not those of a spec.

        >>> DataSpec.from_json(DataSpec((28, 28), kind="grey").to_json())
        DataSpec((28, 28), 'grey')
        """
        known = sorted(cls((1,)).to_json())
        required = set(known) - {"condition"}  # which earlier files do not have
        if not isinstance(values, Mapping) or not required <= set(values) <= set(known):
            got = ", ".join(sorted(map(str, values))) if isinstance(values, Mapping) else shown(values)
            raise InputError(f"spec: expected the keys {', '.join(known)}; got {got}")
        columns, may_be_missing = values["columns"], values["may_be_missing"]
        if not isinstance(columns, list | None) or not isinstance(may_be_missing, bool):
            raise InputError("spec: expected a list of names or null as columns, and true or false as may_be_missing")
        return cls(
            values["event_shape"],
            None,
            None if columns is None else tuple(columns),
            values["kind"],
            may_be_missing,
            values["binarisation"],
            None if values.get("condition") is None else Condition.from_json(values["condition"]),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataSpec) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.event_shape, self.columns, self.kind, self.may_be_missing))


def _sha256(mean: Tensor) -> str:
    values = mean.to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(values.astype("<f4", copy=False).tobytes()).hexdigest()
