"""Sections of a report: a figure, how to read it, and what these runs show, computed from them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

import numpy as np
import torch

from vaelab import plots
from vaelab.data.values import Array
from vaelab.distributions import DiagonalNormal
from vaelab.errors import InputError
from vaelab.evaluation import encode_means
from vaelab.objectives import METRICS
from vaelab.priors import MixturePrior
from vaelab.report.belief import layer_samples, receptive_fields, tightness
from vaelab.report.classes import FOLDS, NEIGHBOURS, not_classes, not_separable
from vaelab.report.columns import columns_drawn
from vaelab.report.diagnostics import DIAGNOSED
from vaelab.report.estimates import bounds_and_codes
from vaelab.report.gradients import gradient_variance
from vaelab.report.member import ReportedRun
from vaelab.report.priors import priors_compared
from vaelab.report.reader import reader_of
from vaelab.report.section import Builder, LeftOut, Live, Section
from vaelab.seeds import seeded

__all__ = ["LeftOut", "Section", "sections"]

_TESTED = 2000  # test observations that are reconstructed to count wrong bits


def sections(members: Sequence[ReportedRun]) -> tuple[list[Section], list[LeftOut]]:
    """Return the sections that apply to these runs, in reading order, and those that could not be drawn.

    A figure that fails is left out; the numbers and the other figures are still shown.
    """
    made, left_out = [], []
    for builder in _BUILDERS:
        shown = list(members) if builder in _OF_ANY_MODEL else [member for member in members if member.has_codes]
        name = builder.__name__.replace("_", " ")
        try:
            section = builder(shown) if shown else None
        except InputError as refusal:
            left_out.append(LeftOut(name, str(refusal)))
        except Exception as error:  # an error in vaelab: noted in the report and in the log, and the report is finished
            logging.getLogger("vaelab").warning("the figure %r could not be drawn", name, exc_info=error)
            left_out.append(LeftOut(name, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"))
        else:
            made += [] if section is None else [section]
    return made, left_out


def _generative(members: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Return the runs whose samples are shown as images, without those of 2-D codes if there are others."""
    shown = [m for m in members if m.latent.code != "point" and m.data.image_shape]
    wide = [m for m in shown if m.latent.posterior(m.test.bits(slice(1))).event_shape[0] > 2]
    return wide or shown


def _first(members: Sequence[ReportedRun], code: str) -> ReportedRun | None:
    """Return the first run with a 2-D code of that kind."""
    for member in members:
        if member.latent.code == code and member.latent.latent_dim == 2:
            return member
    return None


def _readable(member: ReportedRun, images: torch.Tensor) -> str:
    """Return which classes nearest neighbours see in images, compared with real images."""
    if member.labels is None or member.data.image_shape is None:
        return ""
    try:
        reader = reader_of(member.data)
    except InputError as refusal:
        return f"not classified by neighbours ({refusal})"
    classes, agreement = reader.read(images)
    names = reader.classes
    counts = np.array([(classes == name).sum() for name in names])
    rare, common = int(counts.argmin()), int(counts.argmax())
    share = counts / counts.sum()
    return (
        f"all five neighbours agree on {agreement:.0%} of them (real test images: {reader.real:.0%}), "
        f"{int((counts > 0).sum())} of {len(counts)} classes occur, "
        f"most often {names[common]} ({share[common]:.0%}), least often {names[rare]} ({share[rare]:.0%})"
    )


def latent_map(members: Sequence[ReportedRun]) -> Section | None:
    """Test-set posterior means of a 2-D Gaussian code, coloured by class."""
    member = _first(members, "real")
    if member is None:
        return None
    codes = encode_means(member.latent, member.test).numpy()
    title = f"{member.title}: posterior means of {len(codes):,} test observations"
    colours = _colours(member)
    figure = plots.png(plots.latent_map(codes, colours, title))
    spread, standard = codes.std(0), _has_standard_prior(member)
    own = " (the prior's is 1)" if standard else ""
    finding = f"The means have standard deviation {spread[0]:.2f} and {spread[1]:.2f} along the two axes{own}. "
    if member.labels is not None:
        finding += "\n" + _separation(codes, member.labels)
    finding += _missed(member)
    classes = (
        " The model has not seen any class label, so islands of one colour are structure that it discovered. Similar "
        "classes lie next to each other or overlap."
    )
    pull = (
        "The KL term pulls all codes towards the origin, so islands touch."
        if standard
        else "The KL term pulls the codes to where the prior has its mass."
    )
    guide = (
        f"Each dot is one test {member.noun}, placed at the mean of q(z|x).{'' if colours is None else classes} {pull}"
    )
    heading = "The latent space" + ("" if colours is None else ", coloured by class")
    live = Live("map", member, "Walk through this map in the explorer")
    return Section("latent-map", heading, guide, finding, figure, live)


def _has_standard_prior(member: ReportedRun) -> bool:
    """Return whether p(z) is N(0, I)."""
    with torch.no_grad():
        prior = member.latent.prior()
    return isinstance(prior, DiagonalNormal) and not bool(prior.loc.any()) and not bool(prior.log_scale.any())


def _missed(member: ReportedRun) -> str:
    """Say how far the importance-weighted bound lies below log p(x), where both were computed."""
    truth, bound = member.evaluation("quadrature"), member.evaluation("iwae")
    if truth is None or bound is None:
        return ""
    integral, error, below = truth.value, truth.standard_error or 0.0, truth.value - bound.value
    return (
        f"\nIntegrated over the plane, log p(x) is {integral:.2f} ± {error:.2f} nats, and the bound of "
        f"{bound.samples:,} codes drawn from q(z|x) is {bound.value:.2f}. The difference of {below:.2f} nats comes "
        "from codes that also explain an observation and that q(z|x) misses."
    )


def _colours(member: ReportedRun) -> Array | None:
    """Return the labels that a map is coloured by, if there are any that are classes."""
    labels = member.labels
    return None if labels is None or not_classes(labels) else labels


def _separation(codes: Array, labels: Array) -> str:
    from sklearn.metrics import confusion_matrix  # here: scikit-learn takes a second, and only figures need it
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    if reason := not_classes(labels):
        return f"Not coloured by class: {reason}."
    if reason := not_separable(labels):
        return f"The accuracy of neighbours was not measured: {reason}."
    predicted = cross_val_predict(KNeighborsClassifier(NEIGHBOURS), codes, labels, cv=FOLDS)
    names = np.unique(labels)
    confusion = confusion_matrix(labels, predicted, labels=names)
    both = confusion + confusion.T
    np.fill_diagonal(both, 0)
    first, second = sorted(int(index) for index in np.unravel_index(both.argmax(), both.shape))
    chance = max((labels == name).mean() for name in names)
    finding = (
        f"Fifteen nearest neighbours on the two coordinates alone predict the class of "
        f"{(predicted == labels).mean():.1%} of the observations (the most frequent class alone: {chance:.1%}; "
        "five-fold cross-validation)."
    )
    if both.any():
        finding += f" Classes {names[first]} and {names[second]} are confused most often ({both[first, second]} times)."
    return finding


def sample_means(members: Sequence[ReportedRun]) -> Section | None:
    """Means of p(x|z) for codes drawn from the prior, the models side by side."""
    shown = _generative(members)
    if not shown:
        return None
    panels = {m.title: m.images(m.samples(64, "mean")) for m in shown}
    figure = plots.png(plots.image_grids(panels, 8))
    finding = []
    for member in shown:
        means = member.samples(500, "mean")
        unsure = float(((means > 0.1) & (means < 0.9)).float().mean())
        text = f"{member.title}: {unsure:.0%} of the pixels are uncertain"
        readable = _readable(member, means)
        finding.append(f"{text}; {readable}." if readable else f"{text}.")
    guide = (
        "Each image is the mean of p(x|z) for one `z` drawn from the prior: the generated distribution, before any "
        "pixel is drawn. Grey pixels are uncertain; those with a probability between 0.1 and 0.9 are counted below. "
        "Compare sharp images with blends of several."
    )
    if _reads(shown):
        guide += (
            " Below, 500 samples of each model are classified by their five nearest neighbours among at most 10,000 "
            "training images: how often all five agree, and how evenly the classes occur."
        )
    live = Live("sample", shown[0], "Draw samples of your own in the explorer")
    return Section("sample-means", "Generated distributions", guide, "\n".join(finding), figure, live)


def _reads(members: Sequence[ReportedRun]) -> bool:
    """Return whether the samples of any of these runs can be classified."""
    for member in members:
        if member.labels is not None:
            with contextlib.suppress(InputError):
                return reader_of(member.data) is not None
    return False


def sample_modes(members: Sequence[ReportedRun]) -> Section | None:
    """The most probable images of the same draws."""
    shown = _generative(members)
    if not shown:
        return None
    panels = {m.title: m.images(m.samples(64, "mode")) for m in shown}
    figure = plots.png(plots.image_grids(panels, 8))
    finding = []
    for member in shown:
        modes, means = member.samples(500, "mode"), member.samples(500, "mean")
        ink, expected = float(modes.mean()), float(means.mean())
        data = float(member.test.mean().mean())
        finding.append(
            f"{member.title}: {ink:.1%} of the pixels are set in the most probable images, {expected:.1%} expected "
            f"under p(x|z), {data:.1%} in the test data."
        )
    guide = (
        "The same codes as above, each as the most probable image: of independent pixels, every pixel at its more "
        "probable value. Parts that are pale grey in the mean "
        "disappear here, so modes have fewer pixels set than the data wherever the model is uncertain."
    )
    return Section("sample-modes", "The same draws' most probable images", guide, "\n".join(finding), figure)


def codes_and_mixture(members: Sequence[ReportedRun]) -> Section | None:
    """Codes of a deterministic auto-encoder, and as many samples of their mixture."""
    member = _first(members, "point")
    if member is None or not isinstance(member.latent.prior, MixturePrior):
        return None
    codes, prior = encode_means(member.latent, member.test), member.latent.prior
    with seeded(member.seed, "mixture"):
        drawn = prior().sample((len(codes),))
    means, covariances = prior.means.numpy(), prior.covariances.numpy()
    titles = (f"codes of {len(codes):,} test observations", f"{len(codes):,} samples of the mixture")
    figure = plots.png(
        plots.codes_and_mixture(codes.numpy(), _colours(member), drawn.numpy(), means, covariances, titles)
    )
    held_out, of_samples = float(prior().log_prob(codes).mean()), float(prior().log_prob(drawn).mean())
    finding = (
        f"The mixture has {len(means)} components ({prior.covariance} covariance"
        f"{', ' + prior.choice() if prior.choice() else ''}).\n"
        f"Its mean log-density is {held_out:.2f} nats for held-out codes and {of_samples:.2f} for its own samples. "
        f"The difference of {of_samples - held_out:.2f} would be zero for a perfect fit."
    )
    guide = (
        "Without noise and without a KL, the training does not bring the distribution of the codes close to a prior, "
        "so it may have any shape. A Gaussian mixture fitted to the training codes (ellipses: two standard "
        "deviations) makes the auto-encoder generative. Where the mixture has mass but there are no codes, the "
        "decoder produces nothing that resembles the data."
    )
    live = Live("map", member, "Choose a component of the mixture in the explorer, and see what it generates")
    return Section("codes-and-mixture", "Codes against samples of their mixture", guide, finding, figure, live)


def mixture_samples(members: Sequence[ReportedRun]) -> Section | None:
    """Decoded samples of the mixture over an auto-encoder's codes: means and most probable images."""
    shown = [m for m in members if m.latent.code == "point" and m.data.image_shape]
    if not shown:
        return None
    member = shown[0]
    panels = {f"{member.title}: {kind}s": member.images(member.samples(64, kind)) for kind in ("mean", "mode")}
    readable = _readable(member, member.samples(500, "mean"))
    finding = f"500 decoded samples, classified as above: {readable}." if readable else ""
    guide = (
        "Decoded samples of the mixture. Where the mixture fits the codes, they are as sharp as reconstructions; "
        "between components they are blends. The auto-encoder still has no likelihood of `x`."
    )
    figure = plots.png(plots.image_grids(panels, 8))
    live = Live("sample", member, "Draw samples of this mixture in the explorer")
    return Section("mixture-samples", "Decoded samples of the mixture", guide, finding, figure, live)


def training_curves(members: Sequence[ReportedRun]) -> Section | None:
    """Validation bounds against training time."""
    histories = {member.title: member.run.metrics() for member in members}
    histories = {title: rows for title, rows in histories.items() if rows}
    if not histories:
        return None
    keys = [f"val/{metric}" for metric in METRICS]
    logged = [
        key.removeprefix("val/") for key in keys if any(key in row for rows in histories.values() for row in rows)
    ]
    figure = plots.png(plots.curves(histories, keys, f"validation {' or '.join(logged)} (nats per observation)"))
    finding = []
    for title, rows in histories.items():
        validations = [(row["step"], row[key]) for row in rows for key in keys if key in row]
        if len(validations) < 2:
            continue
        step, best = max(validations, key=lambda pair: pair[1])
        before = validations[-max(2, len(validations) // 5)][1]
        finding.append(
            f"{title}: best {best:.1f} at step {step:,} of {validations[-1][0]:,}, "
            f"{best - before:+.1f} over the last fifth of the validations."
        )
    guide = (
        "The bound on held-out data during training; for an auto-encoder the reconstruction, which is not a bound and "
        "is not comparable with the other lines; for a density model log p(x) itself. A learning rate that falls to "
        "zero flattens every curve at its end, so look at the part before that to see whether more steps would help. A "
        "falling curve shows overfitting; the weights of its best point were kept."
    )
    live = Live("training", members[0], "Read the curves of each run, and all its numbers, in the explorer")
    return Section("training-curves", "Training curves", guide, "\n".join(finding), figure, live)


def reconstructions(members: Sequence[ReportedRun]) -> Section | None:
    """Test observations and their reconstructions by each model."""
    shown = [member for member in members if member.data.image_shape]
    if not shown:
        return None
    labels = shown[0].labels
    chosen = np.arange(len(shown[0].test))[:12]
    if labels is not None:  # the first of each class, then further ones
        firsts = np.unique(labels, return_index=True)[1][:12]
        chosen = np.concatenate([firsts, np.setdiff1d(np.arange(len(labels))[:24], firsts)])[:12]
    rows = {"test image": shown[0].images(shown[0].test.bits(torch.from_numpy(chosen)))}
    finding = []
    for member in shown:
        x = member.test.bits(slice(0, _TESTED))
        decoded, x = member.latent.reconstruct(x), member.latent.split(x)[0]
        wrong = float(((decoded > 0.5) != (x > 0.5)).float().sum(1).mean())
        rows[member.title] = member.images(member.latent.reconstruct(member.test.bits(torch.from_numpy(chosen))))
        finding.append(f"{member.title}: {wrong:.0f} of {x.shape[1]} bits are wrong.")
    noise = " The noise of the binarisation is not reproduced, and should not be."
    guide = (
        "Each column is one test image and, below it, the mean of p(x|z) at its most probable code. A small code "
        "represents only the main features of an image; a larger one also represents its details."
        f"{noise if shown[0].data.binarisation in ('dynamic', 'static') else ''}"
    )
    guide += (
        f" Below, the wrong bits of the first {min(_TESTED, len(shown[0].test)):,} test images are counted, with a "
        "threshold of one half."
    )
    figure = plots.png(plots.reconstructions(rows))
    live = Live("draw", shown[0], "Draw an image of your own in the explorer, and see its reconstruction and its bound")
    return Section("reconstructions", "Reconstructions", guide, "\n".join(finding), figure, live)


def plane(members: Sequence[ReportedRun], side: int = 20) -> Section | None:
    """The decoded grid over a 2-D Gaussian code, at equal quantiles of the prior N(0, I)."""
    member = _first(members, "real")
    if member is None or member.data.image_shape is None or member.latent.given or not _has_standard_prior(member):
        return None
    quantiles = torch.special.ndtri((torch.arange(side) + 0.5) / side)
    second, first = torch.meshgrid(quantiles, quantiles, indexing="ij")
    means = member.latent.decode(torch.stack([first, second], -1).reshape(-1, 2))  # (side^2, X)
    figure = plots.png(plots.plane(member.images(means), side, f"{member.title}: p(x|z) over the plane"))
    readable = _readable(member, means)
    finding = f"{side * side} decoded points, classified by five nearest neighbours: {readable}." if readable else ""
    guide = (
        "The plane of the map above, decoded at equal steps of prior probability (inverse normal distribution "
        "function). Every tile represents the same share of samples, so the area of one kind of image "
        "shows how often it is generated."
    )
    live = Live("map", member, "Decode any point of the plane in the explorer")
    return Section("plane", "The decoded plane", guide, finding, figure, live)


# The sections in reading order. A new one is a function and a row here.
_BUILDERS: tuple[Builder, ...] = (
    latent_map,
    priors_compared,
    sample_means,
    sample_modes,
    codes_and_mixture,
    mixture_samples,
    columns_drawn,
    training_curves,
    bounds_and_codes,
    gradient_variance,
    reconstructions,
    plane,
    tightness,
    receptive_fields,
    layer_samples,
    *DIAGNOSED,
)
_OF_ANY_MODEL = (columns_drawn, training_curves)  # the others are about codes
