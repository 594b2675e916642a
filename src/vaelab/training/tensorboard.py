"""The log of a training for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vaelab.errors import InputError
from vaelab.training.result import Row

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["TensorBoardLog"]

_NO_CURVES = {"step", "steps", "finished"}


class TensorBoardLog:
    """Writes each logged row to an event file of TensorBoard: a ``callback`` of :func:`vaelab.fit`.

    Every number of a row is a scalar of the same name (``val/bound``, ``lr``, ...) at its step. A row is on the disk
    when the call returns. If there are events of the same directory at later steps, as after a training that was
    resumed, TensorBoard leaves those out. The extra ``tensorboard`` has what this needs.

    Args:
        path: the directory that ``tensorboard --logdir`` reads; created if it is not there.

    Raises:
        InputError: tensorboard is not installed, or the path is a file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = TensorBoardLog(folder)
    ...     log({"step": 10, "steps": 10, "val/bound": -8.5, "finished": True})
    ...     [file.name[:20] for file in Path(folder).iterdir()]
    ['events.out.tfevents.']
    """

    def __init__(self, path: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                'tensorboard: expected the package tensorboard; pip install "vaelab[tensorboard]" installs it'
            ) from None
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"tensorboard: expected a directory; {str(self.path)!r} is a file, which is kept")
        self._make = SummaryWriter
        self._writer: SummaryWriter | None = None

    def __call__(self, row: Row) -> None:
        """Write a row; after the last row of a training the file is closed."""
        step = int(row["step"])
        if self._writer is None:
            self._writer = self._make(str(self.path), purge_step=step)
        for name, value in row.items():
            if name not in _NO_CURVES:
                self._writer.add_scalar(name, value, step)
        self._writer.flush()
        if row.get("finished"):
            self._writer.close()
            self._writer = None
