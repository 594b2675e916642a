"""Sections of a report: a figure, what to look for in it, and what these runs show, computed from them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from vaelab import plots
from vaelab.errors import InputError
from vaelab.evaluation import encode_all
from vaelab.models import MixturePrior
from vaelab.report.belief import layer_samples, receptive_fields, tightness
from vaelab.report.classes import FOLDS, NEIGHBOURS, not_classes, not_separable
from vaelab.report.gradients import gradient_variance
from vaelab.report.member import Array, ReportedRun
from vaelab.report.reader import reader_of
from vaelab.report.section import Builder, LeftOut, Section
from vaelab.seeds import seeded

__all__ = ["LeftOut", "Section", "sections"]

_TESTED = 2000  # test images that are reconstructed to count wrong bits


def sections(members: Sequence[ReportedRun]) -> tuple[list[Section], list[LeftOut]]:
    """Return the sections that apply to these runs, in reading order, and those that could not be drawn.

    No figure may cost a number, so whatever a figure fails on, it alone is left out.
    """
    builders: tuple[Builder, ...] = (
        latent_map,
        sample_means,
        sample_modes,
        codes_and_mixture,
        mixture_samples,
        training_curves,
        gradient_variance,
        reconstructions,
        plane,
        tightness,
        receptive_fields,
        layer_samples,
    )
    made, left_out = [], []
    for builder in builders:
        name = builder.__name__.replace("_", " ")
        try:
            section = builder(members)
        except InputError as refusal:
            left_out.append(LeftOut(name, str(refusal)))
        except Exception as error:  # a fault of ours: said in the report and in the log, and the report goes on
            logging.getLogger("vaelab").warning("the figure %r could not be drawn", name, exc_info=error)
            left_out.append(LeftOut(name, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"))
        else:
            made += [] if section is None else [section]
    return made, left_out


def _generative(members: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Runs whose samples are worth showing as images; a map of two dimensions is shown as a map."""
    shown = [m for m in members if m.model.code != "point" and m.data.image_shape]
    wide = [m for m in shown if m.model.posterior(m.test.bits(slice(1))).event_shape[0] > 2]
    return wide or shown


def _first(members: Sequence[ReportedRun], code: str) -> ReportedRun | None:
    """Return the first run with a 2-D code of that kind."""
    for member in members:
        if member.model.code == code and member.model.encode(member.test.bits(slice(1))).shape[1] == 2:
            return member
    return None


def _readable(member: ReportedRun, images: torch.Tensor) -> str:
    """Say which classes nearest neighbours find in images, beside what they find in real ones."""
    if member.labels is None or member.data.image_shape is None:
        return ""
    try:
        reader = reader_of(member.data)
    except InputError as refusal:
        return f"not read by neighbours ({refusal})"
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
    codes = encode_all(member.model, member.test).numpy()
    title = f"{member.title}: posterior means of {len(codes):,} test observations"
    figure = plots.png(plots.latent_map(codes, _colours(member), title))
    spread = codes.std(0)
    found = (
        f"The means have standard deviation {spread[0]:.2f} and {spread[1]:.2f} along the two axes (the prior's is 1). "
    )
    if member.labels is not None:
        found += _separation(codes, member.labels)
    found += _missed(member)
    look = (
        "Each dot is one test image, placed at the mean of q(z|x). No class was told to the model: islands of one "
        "colour are what it found by itself. Classes that share strokes lie next to each other or overlap; the "
        "KL term pulls everything towards the origin, so islands touch."
    )
    return Section("latent-map", "The latent space, coloured by class", look, found, figure)


def _missed(member: ReportedRun) -> str:
    """Say how far the importance-weighted bound lies below log p(x), where both were computed."""
    truth, bound = member.evaluation("quadrature"), member.evaluation("iwae")
    if truth is None or bound is None:
        return ""
    integral, error, below = truth.value, truth.standard_error or 0.0, truth.value - bound.value
    return (
        f" Integrated over the plane, log p(x) is {integral:.2f} ± {error:.2f} nats, and the bound of "
        f"{bound.samples:,} codes drawn from q(z|x) is {bound.value:.2f}: {below:.2f} nats are lost where q(z|x) "
        "misses codes that explain an observation as well."
    )


def _colours(member: ReportedRun) -> Array | None:
    """Return the labels that a map is coloured by, if there are any that are classes."""
    labels = member.labels
    return None if labels is None or not_classes(labels) else labels


def _separation(codes: Array, labels: Array) -> str:
    if reason := not_classes(labels):
        return f"Not coloured by class: {reason}."
    if reason := not_separable(labels):
        return f"How well neighbours tell the classes apart was not measured: {reason}."
    predicted = cross_val_predict(KNeighborsClassifier(NEIGHBOURS), codes, labels, cv=FOLDS)
    names = np.unique(labels)
    confusion = confusion_matrix(labels, predicted, labels=names)
    both = confusion + confusion.T
    np.fill_diagonal(both, 0)
    first, second = sorted(int(index) for index in np.unravel_index(both.argmax(), both.shape))
    chance = max((labels == name).mean() for name in names)
    found = (
        f"Fifteen neighbours on the two coordinates alone name the class of {(predicted == labels).mean():.1%} of the "
        f"observations (always guessing the commonest: {chance:.1%}; five-fold cross-validation)."
    )
    if both.any():
        found += f" The pair most often confused is {names[first]} and {names[second]}, {both[first, second]} times."
    return found


def sample_means(members: Sequence[ReportedRun]) -> Section | None:
    """Means of p(x|z) for codes drawn from the prior, the models side by side."""
    shown = _generative(members)
    if not shown:
        return None
    panels = {m.title: m.images(m.samples(64, "mean")) for m in shown}
    figure = plots.png(plots.image_grids(panels, 8))
    found = []
    for member in shown:
        means = member.samples(500, "mean")
        unsure = float(((means > 0.1) & (means < 0.9)).float().mean())
        text = f"{member.title}: {unsure:.0%} of the pixels are undecided (probability between 0.1 and 0.9)"
        readable = _readable(member, means)
        found.append(f"{text}; {readable}." if readable else f"{text}.")
    look = (
        "Each image is the mean of p(x|z) for one z drawn from the prior: the generated distribution itself, before "
        "any pixel is drawn. Grey is doubt about a pixel. Look for whole strokes of one digit against blends of "
        "several."
    )
    note = (
        " Of 500 samples, read by five nearest neighbours among at most 10,000 training images:"
        if _reads(shown)
        else ""
    )
    return Section("sample-means", "Generated distributions", look, f"{note} {' '.join(found)}".strip(), figure)


def _reads(members: Sequence[ReportedRun]) -> bool:
    """Whether there is a reader for any of these runs."""
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
    found = []
    for member in shown:
        modes, means = member.samples(500, "mode"), member.samples(500, "mean")
        ink, expected = float(modes.mean()), float(means.mean())
        data = float(member.test.mean().mean())
        found.append(
            f"{member.title}: {ink:.1%} of the pixels are set in the most probable images, {expected:.1%} expected "
            f"under p(x|z), {data:.1%} in the test data."
        )
    look = (
        "The same codes as above; every pixel takes its likelier value. Strokes that the mean shows in pale grey "
        "vanish here, so modes carry less ink than the data wherever the model is in doubt."
    )
    return Section("sample-modes", "The same draws' most probable images", look, " ".join(found), figure)


def codes_and_mixture(members: Sequence[ReportedRun]) -> Section | None:
    """Codes of a deterministic auto-encoder beside as many samples of their mixture."""
    member = _first(members, "point")
    if member is None or not isinstance(member.model.prior, MixturePrior):
        return None
    codes, prior = encode_all(member.model, member.test), member.model.prior
    with seeded(member.seed, "mixture"):
        drawn = prior().sample((len(codes),))
    means, covariances = prior.means.numpy(), prior.covariances.numpy()
    titles = (f"codes of {len(codes):,} test observations", f"{len(codes):,} samples of the mixture")
    figure = plots.png(
        plots.codes_and_mixture(codes.numpy(), _colours(member), drawn.numpy(), means, covariances, titles)
    )
    held_out, own = float(prior().log_prob(codes).mean()), float(prior().log_prob(drawn).mean())
    found = (
        f"The mixture has {len(means)} components ({prior.covariance} covariance"
        f"{', ' + prior.choice() if prior.choice() else ''}). "
        f"Its log-density is {held_out:.2f} nats a held-out code and {own:.2f} a sample of its own: "
        f"a difference of {own - held_out:.2f}, zero if it described the codes perfectly."
    )
    look = (
        "Without noise and without KL nothing asks the codes to look like a prior: their cloud has whatever shape the "
        "decoder liked. A Gaussian mixture fitted to the training codes (ellipses: two standard deviations) makes the "
        "auto-encoder generative. Look for mass of the mixture where there are no codes: it decodes to no digit."
    )
    return Section("codes-and-mixture", "Codes against samples of their mixture", look, found, figure)


def mixture_samples(members: Sequence[ReportedRun]) -> Section | None:
    """Decoded samples of the mixture over an auto-encoder's codes: means beside most probable images."""
    shown = [m for m in members if m.model.code == "point" and m.data.image_shape]
    if not shown:
        return None
    member = shown[0]
    panels = {f"{member.title}: {kind}s": member.images(member.samples(64, kind)) for kind in ("mean", "mode")}
    readable = _readable(member, member.samples(500, "mean"))
    found = f"Of 500 decoded samples, read as above: {readable}." if readable else ""
    look = (
        "Samples of the mixture, decoded. Where the mixture fits, they are as sharp as reconstructions; between "
        "components they are blends. The auto-encoder still has no likelihood of x: these images are all it can offer."
    )
    figure = plots.png(plots.image_grids(panels, 8))
    return Section("mixture-samples", "Decoded samples of the mixture", look, found, figure)


def training_curves(members: Sequence[ReportedRun]) -> Section | None:
    """Validation bounds against training time."""
    histories = {member.title: member.run.metrics() for member in members}
    histories = {title: rows for title, rows in histories.items() if rows}
    if not histories:
        return None
    keys = ("val/bound", "val/reconstruction")
    logged = [
        key.removeprefix("val/") for key in keys if any(key in row for rows in histories.values() for row in rows)
    ]
    figure = plots.png(plots.curves(histories, keys, f"validation {' or '.join(logged)} (nats per observation)"))
    found = []
    for title, rows in histories.items():
        validations = [(row["step"], row[key]) for row in rows for key in keys if key in row]
        if len(validations) < 2:
            continue
        step, best = max(validations, key=lambda pair: pair[1])
        before = validations[-max(2, len(validations) // 5)][1]
        found.append(
            f"{title}: best {best:.1f} at step {step:,} of {validations[-1][0]:,}, "
            f"{best - before:+.1f} over the last fifth."
        )
    look = (
        "The bound on held-out data while training; for an auto-encoder the reconstruction term alone, which is no "
        "bound and compares with no other line. A learning rate that falls to zero flattens "
        "every curve at its end; whether more steps would help is seen before that. A curve that falls overfits, and "
        "the weights of its best point were kept."
    )
    return Section("training-curves", "Training curves", look, " ".join(found), figure)


def reconstructions(members: Sequence[ReportedRun]) -> Section | None:
    """Test observations and what each model makes of them."""
    shown = [member for member in members if member.data.image_shape]
    if not shown:
        return None
    labels = shown[0].labels
    chosen = np.arange(len(shown[0].test))[:12]
    if labels is not None:  # the first of each class, then further ones
        firsts = np.unique(labels, return_index=True)[1][:12]
        chosen = np.concatenate([firsts, np.setdiff1d(np.arange(len(labels))[:24], firsts)])[:12]
    rows = {"test image": shown[0].images(shown[0].test.bits(torch.from_numpy(chosen)))}
    found = []
    for member in shown:
        x = member.test.bits(slice(0, _TESTED))
        decoded = member.model.reconstruct(x)
        wrong = float(((decoded > 0.5) != (x > 0.5)).float().sum(1).mean())
        rows[member.title] = member.images(member.model.reconstruct(member.test.bits(torch.from_numpy(chosen))))
        found.append(f"{member.title}: {wrong:.0f} of {x.shape[1]} bits wrong.")
    look = (
        "Each column is one test image; below it the mean of p(x|z) at its most probable code. Two numbers can hold "
        "the kind of digit but not its hand; twenty or two hundred units keep slant and thickness too. Binarisation "
        "noise at the edges is not reproduced, and should not be."
    )
    text = f"On the first {min(_TESTED, len(shown[0].test)):,} test images, thresholded at one half: " + " ".join(found)
    return Section("reconstructions", "Reconstructions", look, text, plots.png(plots.reconstructions(rows)))


def plane(members: Sequence[ReportedRun], side: int = 20) -> Section | None:
    """The decoded grid over a 2-D Gaussian code, at equal quantiles of the prior."""
    member = _first(members, "real")
    if member is None or member.data.image_shape is None:
        return None
    quantiles = torch.special.ndtri((torch.arange(side) + 0.5) / side)
    second, first = torch.meshgrid(quantiles, quantiles, indexing="ij")
    means = member.model.decode(torch.stack([first, second], -1).reshape(-1, 2))  # (side^2, X)
    figure = plots.png(plots.plane(member.images(means), side, f"{member.title}: p(x|z) over the plane"))
    readable = _readable(member, means)
    found = f"Of the {side * side} decoded points, read by five nearest neighbours: {readable}." if readable else ""
    look = (
        "The plane of the map above, decoded at equal steps of prior probability (inverse normal CDF): every tile "
        "stands for the same share of samples. Digits turn into one another; the room a digit takes is how often it "
        "is generated."
    )
    return Section("plane", "The decoded plane", look, found, figure)
