"""Models read from a directory: a saved model or a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vaelab.errors import InputError, shown
from vaelab.models import MODELS, Model
from vaelab.models.build import building_again
from vaelab.models.pretrained import pretrained_folder
from vaelab.models.saved import MODEL_FILE, ModelFile, give_weights, read_model, read_value
from vaelab.runs.run import Run
from vaelab.seeds import seeded

__all__ = ["from_pretrained", "load"]


def load(path: str | Path, into: Model | None = None) -> Model:
    """Return the model in a directory, in evaluation mode: one that ``model.save`` wrote, or the model of a run.

    Built-in models are built from their name and options. A model of another class is built from the arguments of its
    constructor, if the class is defined: import it first. A file can only name a class; loading imports no module and
    runs no code from the file. A model whose arguments no file can hold, such as modules of your own, is built by you
    and given as ``into``, which gets the weights.

    Args:
        path: a directory.
        into: a model that gets the weights, instead of a new one.

    Raises:
        InputError: there is no model, it is damaged, its class is not defined, or the weights do not fit.

    >>> import tempfile
    >>> from vaelab.models import gaussian_vae
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gaussian_vae(6, latent_dim=2).save(folder)
    ...     load(folder).sample(3).shape
    torch.Size([3, 6])
    """
    folder = Path(path)
    if (folder / "config.json").is_file():
        if into is not None:
            raise InputError(f"into: expected a saved model; {str(folder)!r} is a run, which builds its model itself")
        return Run(folder).load_model()
    if not (folder / MODEL_FILE).is_file():
        what = "is not a saved model or a run" if folder.exists() else "does not exist"
        raise InputError(f"path: expected the directory of a saved model or of a run; {str(folder)!r} {what}")
    content, tensors = read_model(folder)
    model = into if into is not None else _build(content, tensors, folder)
    give_weights(model, tensors, folder)
    model.ex_post_prior = content.ex_post_prior
    if content.spec is not None:  # it names the binarisation under which these weights were trained
        model.spec = read_value(content.spec, "spec", tensors)
        if model.spec is not None and model.spec.may_be_missing:
            model.allow_missing()
    return model.eval()


def from_pretrained(
    name: str | Path, download: bool = False, revision: str | None = None, token: str | None = None
) -> Model:
    """Return a model that ``save_pretrained`` or ``push_to_hub`` wrote, in evaluation mode.

    ``name`` is a directory, or ``OWNER/NAME`` of a repository of the Hugging Face hub. Without ``download`` the network
    is not used: a repository must have been fetched before. Only the weights, model.json and the card are fetched, and
    nothing in them is executed; see :func:`load`. The extra ``hub`` has what a repository needs.

    Args:
        name: a directory or a repository.
        download: fetch the repository, or its newer files, from the hub.
        revision: a branch, a tag or a commit of the repository.
        token: of the hub, for a private repository; by default the one that ``hf auth login`` stored.

    Raises:
        InputError: there is no such model, or one that :func:`load` refuses.
        Failure: the hub does not answer.

    >>> import tempfile
    >>> from vaelab.models import gaussian_vae
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gaussian_vae(6, latent_dim=2).save_pretrained(folder)
    ...     from_pretrained(folder).sample(3).shape
    torch.Size([3, 6])
    """
    return load(pretrained_folder(name, download, revision, token))


def _build(content: ModelFile, tensors: Mapping[str, Tensor], folder: Path) -> Model:
    """Build the model that a file describes; its weights are yet to be loaded."""
    if content.built_with is not None:
        name, options = content.built_with.get("name"), content.built_with.get("options")
        if not isinstance(name, str) or name not in MODELS or not isinstance(options, dict):
            raise InputError(f"{folder / MODEL_FILE}: expected a model of this vaelab; got {shown(name)}")
        try:
            with building_again():
                return MODELS[name].build(read_value(content.spec, "spec", tensors), **options, seed=0)
        except TypeError as error:
            raise InputError(f"{folder / MODEL_FILE}: expected options of {name}; {error}") from error
    if content.missing:
        raise InputError(
            f"{folder / MODEL_FILE}: this model was built from {', '.join(content.missing)}, which no file can hold; "
            "build it and give it the weights: vaelab.load(path, into=model)"
        )
    kinds = [kind for kind in _subclasses(Model) if f"{kind.__module__}:{kind.__qualname__}" == content.model_class]
    if not kinds:
        module, _, name = content.model_class.partition(":")
        raise InputError(
            f"{folder / MODEL_FILE}: the class {name} of {module} is not defined here; import it before the model is "
            "loaded, or build the model and give it the weights: vaelab.load(path, into=model)"
        )
    arguments = read_value(content.arguments, "arguments", tensors)
    try:
        with seeded(0, "load"):
            return kinds[-1](**arguments)
    except TypeError as error:
        raise InputError(
            f"{folder / MODEL_FILE}: the class {kinds[-1].__name__} cannot be built from its arguments "
            f"{', '.join(arguments)} ({error}); build the model and give it the weights: vaelab.load(path, into=model)"
        ) from error


def _subclasses(kind: Any) -> Iterator[type[Model]]:
    """Yield the classes that are defined in this process and derive from a class, in the order of their definition."""
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)
