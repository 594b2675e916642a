"""Models in a form that a hub takes: a saved model with a model card."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vaelab.errors import InputError
from vaelab.models.card import CARD_FILE, CARD_MARK, Number, write_card
from vaelab.models.saved import MODEL_FILE, WEIGHTS_FILE, Saveable
from vaelab.storage import require_free, write_file
from vaelab.storage.hub import download as fetched
from vaelab.storage.hub import upload

if TYPE_CHECKING:
    from vaelab.models.model import Model

__all__ = ["PRETRAINED_FILES", "Pretrained", "pretrained_folder"]

PRETRAINED_FILES = (MODEL_FILE, WEIGHTS_FILE, CARD_FILE)


class Pretrained(Saveable):
    """A model that can be saved with a model card, and pushed to a hub."""

    def save_pretrained(
        self,
        path: str | Path,
        numbers: Iterable[Number] = (),
        training: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write the model to a directory, as :meth:`save` does, with a model card, ``README.md``.

        Args:
            path: a new or empty directory.
            numbers: of an evaluation of this model, which the card shows: what :func:`vaelab.evaluate` returns, or
                those that a run keeps.
            training: how the model was trained, for the card; :func:`vaelab.export.training_of` a run gives it.
            overwrite: replace a model that was saved there before.

        Raises:
            InputError: something else is there, or a saved model and not ``overwrite``, or a card that vaelab did not
                write.
        """
        folder = Path(path)
        require_free(folder, PRETRAINED_FILES, overwrite, "a saved model")
        self._write(folder, write_card(self._model, folder.absolute().name, numbers, training))

    def _write(self, folder: Path, text: str) -> None:
        card = folder / CARD_FILE
        if os.path.lexists(card) and CARD_MARK not in _text(card):
            raise InputError(f"{card}: expected a model card that vaelab wrote, to replace it; this one is kept")
        card.unlink(missing_ok=True)
        self.save(folder, overwrite=True)
        write_file(card, text)

    @property
    def _model(self) -> Model:
        return cast("Model", self)

    def push_to_hub(
        self,
        name: str,
        numbers: Iterable[Number] = (),
        training: Mapping[str, str] | None = None,
        private: bool = True,
        token: str | None = None,
    ) -> str:
        """Upload the model with its card to the Hugging Face hub, and return the address of the commit.

        This is the only method of a model that uses the network. The extra ``hub`` has what it needs.

        Args:
            name: ``OWNER/NAME`` of the repository, which is created if it is not there.
            numbers, training: for the card, as in :meth:`save_pretrained`.
            private: whether a new repository is visible to its owner only.
            token: of the hub; by default the one that ``hf auth login`` stored.

        Raises:
            InputError: huggingface_hub is not installed, or a name or a token that the hub does not take.
            Failure: the hub did not answer.
        """
        with tempfile.TemporaryDirectory() as folder:
            self._write(Path(folder), write_card(self._model, name.rpartition("/")[2], numbers, training))
            return upload(Path(folder), name, private, token)


def pretrained_folder(
    name: str | Path, download: bool = False, revision: str | None = None, token: str | None = None
) -> Path:
    """Return the directory of a pretrained model: ``name`` itself, or where huggingface_hub keeps it."""
    if Path(name).is_dir() or isinstance(name, Path):
        if (download, revision, token) != (False, None, None):
            raise InputError(
                f"download, revision, token: go with the name of a repository; {str(name)!r} is a directory"
            )
        return Path(name)
    return fetched(name, PRETRAINED_FILES, download, revision, token)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
