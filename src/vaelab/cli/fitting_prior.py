"""The command that fits a prior to the codes of a trained model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelab.cli.options import DataFile, ModelPath, Overwrite
from vaelab.cli.output import print_text, say
from vaelab.cli.usage import say_next

if TYPE_CHECKING:
    from vaelab.cli.opened import OpenedModel

__all__ = ["fit_prior"]


def fit_prior(
    run: ModelPath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty directory.")],
    prior: Annotated[str, typer.Option(metavar="NAME", help="One of the names above.")] = "mixture",
    prior_components: Annotated[
        int | None, typer.Option(metavar="C", help="Of mixture or vamp  [default: by the BIC, or 100]")
    ] = None,
    data: DataFile = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Steps, of all but a mixture.")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of these steps: auto, cpu or cuda  [default: auto]")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the codes and of the fit.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Fit a prior to the codes of a trained model, and save the model with it.

    Encoder and decoder stay as they are. The bound is computed again under the new prior, on the test split; of an
    auto-encoder, the log-density of its codes. Priors of real codes: mixture, vamp, flow; of bits: learned, mixture,
    autoregressive; of an auto-encoder: mixture, flow.
    """
    from vaelab.cli.opened import OpenedModel
    from vaelab.evaluation import evaluate
    from vaelab.models.saved import MODEL_FILE, WEIGHTS_FILE
    from vaelab.storage import require_free
    from vaelab.training import fit_prior as fit

    require_free(out, (MODEL_FILE, WEIGHTS_FILE), overwrite, "a saved model", "out")
    opened = OpenedModel(run, data)
    given = {"steps": steps, "device": device}
    training: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    fitted = fit(opened.model, opened.data, prior, prior_components, seed=seed, **training)
    fitted.model.save(out, overwrite)
    say(f"wrote {out}: {fitted.description}")
    bounds, number = (None, "code-log-density") if fitted.model.code == "point" else (("elbo",), "elbo")
    earlier = f"earlier prior ({before})" if (before := opened.model.ex_post_prior) else "prior of the training"
    rows = [(earlier, opened.model), (f"ex-post prior ({prior})", fitted.model)]
    has_earlier = getattr(opened.model.prior, "is_fitted", True)  # not an auto-encoder whose training did not end
    for name, model in rows if has_earlier else rows[1:]:
        record = evaluate(model, opened.data, bounds=bounds, samples=1)[number]
        print_text(f"{name}: {number} {record.value:.3f} ± {record.standard_error:.3f} nats, test split")
    say_next("fit-prior", f" --data {_name_of_data(opened)}", run=out)


def _name_of_data(opened: OpenedModel) -> str:
    """Return the data as they are typed: a saved model names none."""
    return shlex.quote(str(opened.place or opened.data.name))
