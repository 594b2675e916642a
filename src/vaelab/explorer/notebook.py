"""The explorer from Python: a page of a model or of runs, shown in a notebook, saved, or opened in a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from vaelab.data import Dataset, require_dataset
from vaelab.errors import InputError, require_int
from vaelab.explorer.content import ROWS
from vaelab.explorer.page import explorer_page
from vaelab.explorer.subject import Subject
from vaelab.models import LatentVariableModel, Model, require_latent
from vaelab.models.saved import MODEL_FILE
from vaelab.report import ReportedRun
from vaelab.runs import Run, load
from vaelab.storage import write_file, write_ours
from vaelab.training import FitResult

__all__ = ["ExplorerPage", "explore"]

_WANTED = (
    "a model with its data, a Run, the path of a run or of a saved model, a fitted estimator of vaelab.sklearn with X, "
    "or several of these"
)


@dataclass(frozen=True)
class ExplorerPage:
    """A page of the explorer. A notebook shows it as the value of a cell.

    Attributes:
        html: the page, which needs no other file and no network.
        title: its title.
        height: of the frame in a notebook, in pixels.
    """

    html: str = field(repr=False)
    title: str
    height: int = 760

    def _repr_html_(self) -> str:
        """Return the page as a frame of a notebook, apart from the notebook's own page."""
        # Without allow-same-origin no text of the page can reach the notebook. Pictures are downloads and copies.
        return (
            f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html)}" width="100%" height="{self.height}" '
            'style="border: 0" sandbox="allow-scripts allow-downloads allow-popups" allow="clipboard-write"></iframe>'
        )

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the page to a file, and return its path.

        Raises:
            InputError: a name that does not end in .html, or a file which vaelab did not write and not ``overwrite``.
        """
        target = Path(path)
        if target.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"path: expected a file that ends in .html; got {str(path)!r}")
        (write_file if overwrite else write_ours)(target, self.html.encode("utf-8", "backslashreplace"))
        return target

    def open(self) -> Path:
        """Write the page to a temporary file, open it in the browser of the desktop, and return its path."""
        target = self.save(Path(mkdtemp(prefix="vaelab-")) / "explorer.html")
        with suppress(webbrowser.Error):  # without a desktop the path is what a user needs
            webbrowser.open(target.as_uri())
        return target


def explore(
    shown: Any, data: Any = None, *, title: str | None = None, rows: int = ROWS, height: int = 760
) -> ExplorerPage:
    """Return a page in which the codes of a model can be walked in a browser; a notebook shows it.

    The page contains the weights of the model and up to ``rows`` test rows of the data: whoever gets the page gets
    them.

    Args:
        shown: a model; a run, or the path of one or of a saved model; a fitted estimator of :mod:`vaelab.sklearn`; or
            several of these, as a list or with their titles as ``{title: ...}``.
        data: for a model the data set whose test rows are shown, without a test split its validation or its training
            rows; for a run nothing, or its data where they were given
            in Python or moved; for an estimator X.
        title: of the page.
        rows: test rows that the page contains, at most.
        height: of the frame in a notebook, in pixels.

    Raises:
        InputError: something else, data that do not fit the model, or a model that the page cannot compute.

    >>> import numpy as np, vaelab
    >>> data = vaelab.Dataset.from_arrays(np.eye(8).repeat(20, 0))
    >>> page = vaelab.explore(vaelab.bernoulli_vae(data, latent_dim=3), data, title="eight rows")
    >>> page
    ExplorerPage(title='eight rows', height=760)
    >>> page._repr_html_()[:26]
    '<iframe title="eight rows"'
    """
    require_int("rows", rows, 1)
    require_int("height", height, 100)
    subjects = [_subject(name, each, data) for name, each in _titled(shown)]
    title = title if title is not None else ", ".join(subject.title for subject in subjects)
    return ExplorerPage(explorer_page(subjects, title, rows), title, height)


def _titled(shown: Any) -> list[tuple[str | None, Any]]:
    """Return what is shown with titles; None where what is shown has a name of its own."""
    if isinstance(shown, Mapping):
        return [(str(title), each) for title, each in _some(list(shown.items()))]
    if isinstance(shown, Sequence) and not isinstance(shown, str):
        counted = len(_some(shown)) > 1
        models = [not isinstance(each, Run | str | Path) for each in shown]
        return [
            (f"model {place + 1}" if counted and is_model else None, each)
            for place, (each, is_model) in enumerate(zip(shown, models, strict=True))
        ]
    return [(None, shown)]


def _some(several: Sequence[Any]) -> Sequence[Any]:
    if not several:
        raise InputError(f"shown: expected {_WANTED}; got an empty {type(several).__name__}")
    return several


def _subject(title: str | None, shown: Any, data: Any) -> Subject:
    """Return the subject of a model, a run, a path or an estimator; without a title it has that of its directory."""
    if isinstance(shown, str | Path) and (Path(shown) / MODEL_FILE).is_file() and not _is_run(Path(shown)):
        return _subject(title or Path(shown).absolute().name, load(shown), data)
    if isinstance(shown, str | Path):
        return _subject(title, Run(shown), data)
    if isinstance(shown, Run):
        return _of_run(title or shown.name, shown, data)
    if isinstance(shown, Model):
        return _of_model(title or "model", require_latent(shown, "explore"), data)
    from vaelab.sklearn.base import ModelEstimator  # imported here, as the command line does without it

    if isinstance(shown, ModelEstimator):
        return _of_estimator(title or type(shown).__name__, shown, data)
    way = "; a result of a training has no weights: give the model" if isinstance(shown, FitResult) else ""
    raise InputError(f"shown: expected {_WANTED}; got {type(shown).__name__}{way}")


def _is_run(path: Path) -> bool:
    return (path / "config.json").is_file()


def _of_run(title: str, run: Run, data: Any) -> Subject:
    if isinstance(data, str | Path):
        return Subject.of_run(ReportedRun(title, run, (str(data),)))
    if data is None:
        if run.source.kind == "python":
            raise InputError(
                f"data: the data of the run {str(run.path)!r} were given in Python; give them again: explore(run, data)"
            )
        return Subject.of_run(ReportedRun(title, run))
    if not isinstance(data, Dataset):
        raise InputError(f"data: expected the data set of the run, or the path of its file; got {type(data).__name__}")
    data = data.with_condition(run.spec.condition) if data.condition is None else data
    if data.sha256() != run.config["data"]["sha256"]:
        raise InputError(
            f"data: {data.name!r} is not the data that {str(run.path)!r} was trained on (SHA-256); give those"
        )
    return Subject.of_run(ReportedRun(title, run), data.with_binarisation(run.binarisation))


def _of_model(title: str, model: LatentVariableModel, data: Any) -> Subject:
    if data is None:
        raise InputError("data: expected the data set whose rows are shown: explore(model, data); got None")
    require_dataset(data)
    split = next((name for name in ("test", "validation") if name in data.splits), next(iter(data.splits)))
    model.require_same_table(data.split(split))
    columns = data.split(split).observations().bits(slice(0, 1)).shape[1]
    if columns != model.data_dim:
        raise InputError(
            f"data: expected rows of {model.data_dim} columns, as the model reads; {data.name!r} has {columns}"
        )
    return Subject(title, model, data, split)


def _of_estimator(title: str, estimator: Any, X: Any) -> Subject:
    if X is None:
        raise InputError(f"data: expected the rows to show, X: explore({title}, X); got None")
    if isinstance(X, Dataset):
        raise InputError(f"data: expected X, as {title}.fit had it; got a Dataset, which goes with {title}.model_")
    history = [dict(row) for row in estimator.history_]
    return replace(
        Subject(title, require_latent(estimator.model_, "explore"), estimator.as_dataset(X), split="all"),
        metrics=history,
    )
