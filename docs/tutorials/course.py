"""Checks of the exercises in the notebooks of this folder.

A notebook calls a check with the answer of the reader: a function or a number. The check prints whether it is right,
and if not, what is wrong. It never raises an exception, so a notebook with unanswered exercises still runs to its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

Test = Callable[[Any], str | None]


class Unanswered(Exception):
    """The answer is still the ``...`` of the notebook."""


def exercise(test: Test) -> Callable[[Any], None]:
    """Make a check of a test, which returns what is wrong with an answer, or None."""

    @wraps(test)
    def check(answer: Any) -> None:
        try:
            wrong = test(value(answer))
        except Unanswered:
            print("Not answered yet: replace the dots.")
        except Exception as error:
            print(f"Not yet: your answer raised {type(error).__name__}: {error}")
        else:
            print("Correct." if wrong is None else f"Not yet: {wrong}")

    return check


def value(answer: Any) -> Any:
    """Return an answer, or raise :class:`Unanswered`."""
    if answer is ...:
        raise Unanswered
    return answer


def near(answer: Any, expected: Any, tolerance: float = 1e-4) -> bool:
    """Whether an answer has the expected shape, and its numbers differ by at most ``tolerance``."""
    got, wanted = (
        torch.as_tensor(np.asarray(each, dtype=np.float64))
        for each in (value(answer), expected)
    )
    return got.shape == wanted.shape and bool(
        torch.allclose(got, wanted, rtol=1e-5, atol=tolerance)
    )


def shown(answer: Any) -> str:
    """Return an answer as it stands in a message."""
    array = np.asarray(answer, dtype=np.float64)
    return (
        f"{float(array):.4g}" if array.ndim == 0 else f"an array of shape {array.shape}"
    )


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return normal noise from a seed of its own, so that a check does not change the random numbers of a notebook."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- 1: the Gaussian variational auto-encoder


@exercise
def kl_of_normal(function: Callable[..., Any]) -> str | None:
    """KL[N(loc, scale^2) || N(0, 1)], summed over the last axis, for loc and log_scale (B, D)."""
    loc, log_scale = noise(5, 3), 0.5 * noise(5, 3, seed=1)
    normal, standard = Normal(loc, log_scale.exp()), Normal(torch.zeros(3), torch.ones(3))
    if near(function(loc, log_scale), kl_divergence(normal, standard).sum(-1)):
        return None
    if not near(function(torch.zeros(5, 3), torch.zeros(5, 3)), torch.zeros(5)):
        return "the divergence of N(0, I) from itself should be 0 for each of the B rows."
    return "expected shape (B,), and KL = sum_j (scale_j² + loc_j² - 1)/2 - log scale_j; look at signs and factors."


@exercise
def importance_weighted_bound(function: Callable[..., Any]) -> str | None:
    """The bound log 1/K sum_k w_k of log-weights (K, B)."""
    log_weights = noise(7, 4) - 5
    if not near(function(log_weights), log_weights.logsumexp(0) - math.log(7)):
        if near(function(log_weights), log_weights.mean(0)):
            return "this is the mean of the log-weights, the ELBO; the mean is taken before the logarithm here."
        return "expected log(1/K sum_k w_k) for each column, shape (B,), from log-weights of shape (K, B)."
    if not near(
        function(log_weights - 1000), log_weights.logsumexp(0) - math.log(7) - 1000, 1e-2
    ):
        return "right for small numbers, but exp(-1000) is 0 in a computer: use torch.logsumexp."
    return None


@exercise
def prior_average(number: Any) -> str | None:
    """By which factor the number of draws grows if the standard error is to be a tenth."""
    if near(number, 100, 0.5):
        return None
    return f"the standard error falls as 1/sqrt(K); got {shown(number)}. How much larger is K if the error is a tenth?"


# ---------------------------------------------------------------- 2: bits


@exercise
def score_function(function: Callable[..., Any]) -> str | None:
    """Estimate d/dl E[f(b)] from values f(b) (K,) and bits (K,): mean of (f - baseline)(b - p)."""
    bits, values = (noise(50) > 0).float(), noise(50, seed=1)
    for baseline in (0.0, 0.3):
        expected = ((values - baseline) * (bits - 0.6)).mean()
        if not near(function(values, bits, torch.tensor(0.6), baseline), expected):
            return "expected the mean of (f(b) - baseline) (b - p): the score of a bit with logit l is b - p."
    return None


@exercise
def best_baseline(number: Any) -> str | None:
    """The baseline of least variance for f = (1, 3), p = 0.8: E[f s^2]/E[s^2] with s = b - p."""
    if near(number, 1 * 0.8 + 3 * 0.2, 1e-3):
        return None
    if near(number, 1 * 0.2 + 3 * 0.8, 1e-3):
        return "this is E[f], the mean of the values. The variance is least at E[f s²] / E[s²], with the score s = b - p."
    return f"got {shown(number)}; write E[((f - c) s)²] as a parabola in c, for f(0) = 1, f(1) = 3, and find its minimum."


@exercise
def straight_through_fixed_point(number: Any) -> str | None:
    """Where the straight-through estimate of the gradient of E[(b - t)^2] vanishes, for t = 0.45."""
    if near(number, 0.45, 1e-3):
        return None
    return f"got p = {shown(number)}; the mean estimate is E[f'(b)] p(1 - p) with f'(b) = 2(b - t). Where is E[f'(b)] = 0?"


# ---------------------------------------------------------------- 3: the sigmoid belief network


@exercise
def posterior_of_codes(function: Callable[..., Any]) -> str | None:
    """The probabilities p(z|x) of all codes, from log p(x, z) (C, B)."""
    log_joint = noise(16, 3) - 40
    if near(function(log_joint), log_joint.softmax(0)):
        return None
    return "expected p(z|x) = p(x, z) / sum of p(x, z) over the codes (axis 0), of shape (C, B); each column sums to 1."


@exercise
def gap_of_bound(function: Callable[..., Any]) -> str | None:
    """KL[q || p(z|x)] from probabilities q and log p(x, z), (C, B)."""
    log_q, log_joint = noise(16, 3).log_softmax(0), noise(16, 3, seed=1) - 40
    expected = (log_q.exp() * (log_q - log_joint.log_softmax(0))).sum(0)
    if near(function(log_q, log_joint), expected):
        return None
    if near(function(log_q, log_joint), expected - log_joint.logsumexp(0)):
        return "this is minus the ELBO: log q - log p(x, z). The posterior is p(x, z) divided by p(x)."
    return "expected sum_z q(z|x) [log q(z|x) - log p(z|x)] for each column, shape (B,)."


@exercise
def sleep_loss(function: Callable[..., Any]) -> str | None:
    """Minus the mean of log q(z|x) over pairs drawn from the model."""
    logits, bits = noise(6, 4), (noise(6, 4, seed=1) > 0).float()
    if near(
        function(Independent(Bernoulli(logits=logits), 1), bits),
        -_log_bits(logits, bits).mean(),
    ):
        return None
    return "expected minus the mean over the rows of q.log_prob(z): the encoder learns the codes behind the dreams."


def _log_bits(logits: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    return (bits * logits - torch.nn.functional.softplus(logits)).sum(-1)


# ---------------------------------------------------------------- 4: an auto-encoder made generative


@exercise
def parameters_of_mixture(function: Callable[..., Any]) -> str | None:
    """Free parameters of C Gaussians with full covariances in D dimensions."""
    for count, dim in ((1, 1), (1, 2), (10, 2), (7, 3)):
        expected = count * (dim + dim * (dim + 1) // 2) + count - 1
        got = value(function(count, dim))
        if got != expected:
            return f"for count = {count} and dim = {dim} there are {expected} free numbers; got {got}."
    return None


@exercise
def bic(function: Callable[..., Any]) -> str | None:
    """The criterion -2 log-likelihood + parameters x log N."""
    if near(function(-1234.5, 59, 2000), -2 * -1234.5 + 59 * math.log(2000)):
        return None
    return "expected -2 × the total log-likelihood + parameters × log N; lower is better."


@exercise
def change_of_units(number: Any) -> str | None:
    """The change of the log-density of codes of 2 numbers that are multiplied by 10."""
    if near(number, -2 * math.log(10), 1e-3):
        return None
    return f"got {shown(number)}; a density in D dimensions is divided by 10^D when lengths are multiplied by 10."


# ---------------------------------------------------------------- 5: numbers one can quote


@exercise
def standard_error(function: Callable[..., Any]) -> str | None:
    """The standard error of the mean of values (N,)."""
    values = noise(40)
    if near(function(values), values.std() / math.sqrt(40), 1e-6):
        return None
    if near(function(values), values.std(), 1e-6):
        return "this is the standard deviation of one value; the mean of N values varies less by sqrt(N)."
    return "expected the standard deviation divided by sqrt(N), as one number."


@exercise
def paired_difference(function: Callable[..., Any]) -> str | None:
    """Mean and standard error of the differences of two sets of values of the same rows."""
    first = 20 * noise(50)
    second = first + 0.3 + 0.1 * noise(50, seed=1)
    mean, error = value(function(first, second))
    difference = second - first
    if not near(mean, difference.mean(), 1e-4):
        return "expected the mean of second - first."
    if not near(error, difference.std() / math.sqrt(50), 1e-4):
        return "the rows are the same, so take the differences row by row first, and then their standard error."
    return None


@exercise
def may_be_compared(answer: Any) -> str | None:
    """Which of the pairs A to D compare."""
    reasons = {
        "A": "the gap between the two bounds may be larger than the difference of the models",
        "B": "both are iwae-5000, of the same rows under the same protocol",
        "C": "images cut at one half and images drawn at each reading are different data",
        "D": "100 images and 10 000 images may differ in how hard they are",
    }
    wrong = sorted(set(answer.upper()) ^ {"B"})
    return (
        f"think again about {wrong[0]}: {reasons.get(wrong[0], 'the pairs are A to D')}."
        if wrong
        else None
    )


# ---------------------------------------------------------------- 6: your own table


@exercise
def log_probability_of_columns(function: Callable[..., Any]) -> str | None:
    """Log p(x) (N,) of independent columns with probabilities p (X,), for rows of bits (N, X)."""
    x, p = (noise(6, 4) > 0).double().numpy(), np.array([0.1, 0.5, 0.7, 0.9])
    expected = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
    if near(function(x, p), expected):
        return None
    return (
        "expected sum_j [x_j log p_j + (1 - x_j) log(1 - p_j)] for each row, shape (N,)."
    )


@exercise
def brier_score(function: Callable[..., Any]) -> str | None:
    """The mean squared difference of probabilities and bits where ``hidden`` is true."""
    probability, truth, hidden = (
        noise(5, 4).sigmoid().numpy(),
        (noise(5, 4, seed=1) > 0).numpy(),
        np.eye(5, 4) > 0,
    )
    if near(
        function(probability, truth, hidden), ((probability - truth) ** 2)[hidden].mean()
    ):
        return None
    return "expected the mean of (probability - truth)² over the hidden cells alone."


@exercise
def pooled(function: Callable[..., Any]) -> str | None:
    """Rubin's rules: the mean, and the standard error of M estimates with standard errors."""
    estimates, errors = (
        np.array([0.50, 0.54, 0.47, 0.52, 0.55]),
        np.array([0.02, 0.021, 0.019, 0.02, 0.02]),
    )
    mean, error = value(function(estimates, errors))
    variance = (errors**2).mean() + (1 + 1 / 5) * estimates.var(ddof=1)
    if not near(mean, estimates.mean(), 1e-6):
        return "the pooled estimate is the mean of the estimates."
    if near(error, math.sqrt((errors**2).mean()), 1e-6):
        return "this leaves out that the tables differ: add (1 + 1/M) times the variance between the estimates."
    return (
        None
        if near(error, math.sqrt(variance), 1e-5)
        else "expected sqrt(W + (1 + 1/M) B)."
    )
