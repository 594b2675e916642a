"""The latent-variable model: a prior, a likelihood and a posterior, and the quantities computed from them."""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar, Self, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from vaelab.data import Condition, DataSpec
from vaelab.distributions import Code, Multinomial, as_vector, kind_of_code
from vaelab.errors import InputError, require_choice, require_int
from vaelab.inputs import Table, as_codes
from vaelab.likelihoods import columns_of
from vaelab.models.model import Model, SampleKind, require_model, statistic
from vaelab.networks import Standardised, evaluation_mode
from vaelab.objectives import ELBO, Objective, check_objective, log_weights
from vaelab.seeds import seeded

__all__ = ["LatentVariableModel", "columns_of", "require_latent"]

_ELBO = ELBO()
_AT_ONCE = 2**20  # numbers that are decoded at once without a gradient: 4 MB, near the size of a processor's cache


class LatentVariableModel(Model):
    """p(x, z) = p(z) p(x|z) with an approximate posterior q(z|x).

    The three parts are modules that return distributions; any such modules can be used:

        prior() -> p(z), event (D,)    likelihood(z) -> p(x|z), event (X,)    posterior(x) -> q(z|x), event (D,)

    Axes before the vector's are kept: z (K, B, D) gives batch shape (K, B). What a part returns is checked, and
    ``Independent(Normal, 1)`` and ``Independent(Bernoulli, 1)`` become ``DiagonalNormal`` and ``Bernoulli`` on their
    way out (:func:`vaelab.distributions.as_vector`). ``posterior.code`` says what a code is: ``real`` numbers, ``bits``
    or a ``point`` without noise; without it the support of the prior does. Log-densities are in nats per observation.

    Observations and codes may be tensors on the model's device or NumPy arrays of any kind of number; they are checked
    and brought to the model's type once.

    Raises:
        InputError: parts that are not modules, or that have different kinds of code; from any method, a part that does
        not return a distribution over vectors, or observations that do not fit.

    >>> from vaelab.models import gaussian_vae
    >>> model = gaussian_vae(6, latent_dim=2, hidden_dims=[8])
    >>> model.posterior(torch.zeros(3, 6)).mean.shape, model.sample(4).shape
    (torch.Size([3, 2]), torch.Size([4, 6]))
    """

    where_missing: ClassVar[str] = (
        "they are left out of p(x|z), and the encoder reads the mean of the training data in their place"
    )
    _density: ClassVar[str] = "p(x|z)"

    def __init__(self, prior: nn.Module, likelihood: nn.Module, posterior: nn.Module, given: int = 0) -> None:
        super().__init__()
        self.given = require_int("given", given, 0)
        for name, part in (("prior", prior), ("likelihood", likelihood), ("posterior", posterior)):
            if not isinstance(part, nn.Module):
                raise InputError(f"{name}: expected a torch module that returns a distribution; got {part!r}")
            part.register_forward_hook(partial(_as_part, name), with_kwargs=True)
        self.prior = prior
        self.likelihood = likelihood
        self.posterior = posterior
        self._check_kinds()

    def _check_kinds(self) -> None:
        """Refuse a prior and a posterior over different kinds of code."""
        kinds = getattr(self.prior, "code", None), getattr(self.posterior, "code", None)
        for kind in kinds:
            if kind is not None:
                require_choice("posterior.code", kind, get_args(Code))
        of_prior = kinds[0] or kind_of_code(self.prior())
        if kinds[1] and of_prior and kinds[1] != of_prior:
            raise InputError(
                f"prior: expected codes of the posterior's kind {kinds[1]!r}; got a prior over {of_prior!r}"
            )

    @property
    def code(self) -> Code:
        """What a code is: ``real``, ``bits`` or ``point``."""
        code: Code | None = getattr(self.posterior, "code", None) or getattr(self.prior, "code", None)
        code = code or kind_of_code(self.prior())
        if code is None:
            raise InputError("posterior: expected an attribute code: real, bits or point; the prior does not show it")
        return code

    @property
    def prior_has_posterior(self) -> bool:
        """Whether p(z) is made of q(z|x), as a VampPrior is, and so changes with its weights."""
        return bool(getattr(self.prior, "has_posterior", False))

    @property
    def latent_dim(self) -> int:
        """D, size of a code."""
        size: int | None = getattr(self.prior, "latent_dim", None)  # a prior that is fitted to codes has no density yet
        return size or int(self.prior().event_shape[-1])

    @property
    def data_dim(self) -> int:
        """The columns X + Y of a row that the model gets; one code is decoded to find X."""
        code = self.any_weight.new_zeros(1, 1, self.latent_dim + self.given)
        try:
            with torch.no_grad(), evaluation_mode(self.likelihood):
                return int(self.likelihood(code).event_shape[-1]) + self.given
        except (InputError, RuntimeError) as error:
            raise InputError(
                f"likelihood: expected a module that decodes {code.shape[-1]} numbers, {self._decoded}; "
                f"it failed: {str(error).splitlines()[0]}"
            ) from error

    def allow_missing(self) -> Self:
        """Let values of x be missing: NaN in x is then left out of p(x|z), and the encoder reads the mean in its place.

        Models that are built for data with missing values allow them from the start. A network of your own is
        wrapped in what fills its input; a posterior module of your own gets x with NaN.

        Raises:
            InputError: a likelihood that has no density of some of the columns.

        >>> from vaelab.models import gaussian_vae
        >>> model = gaussian_vae(6, latent_dim=2).allow_missing()
        >>> model.bound(torch.tensor([[1.0, 0.0, 1.0, torch.nan, torch.nan, torch.nan]])).isfinite()
        tensor([True])
        """
        of_likelihood = columns_of(self.likelihood)
        if of_likelihood is not None and not of_likelihood.has_marginals:
            raise InputError(
                "likelihood: expected one with a density of the observed columns alone, as values of x are missing; "
                f"{of_likelihood.name} has no density of some of its columns (likelihood=auto chooses one that has)"
            )
        super().allow_missing()
        for module in self.posterior.modules():
            if isinstance(module, Standardised):
                module.may_be_missing = True
        return self

    @property
    def spec_of_columns(self) -> DataSpec | None:
        """What is known of the columns of x: the spec of the model, or that of its likelihood."""
        if self.spec is not None:
            return self.spec
        of_likelihood = columns_of(self.likelihood)
        return None if of_likelihood is None else of_likelihood.spec

    def filled(self, x: Tensor) -> Tensor:
        """Return observations with 0 for what is missing: for networks that are not part of the model.

        Real numbers and counts are centred and divided by their standard deviations, as the encoder reads them.
        """
        encoder = next((part for part in self.posterior.modules() if isinstance(part, Standardised)), None)
        if encoder is not None and isinstance(encoder.scale, Tensor):
            x = (x - encoder.shift) * encoder.scale
        return torch.where(x.isnan(), 0, x) if self.may_be_missing else x

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes of the layers of the posterior's chain, nearest to x first; empty where a code is one vector."""
        return tuple(getattr(self.posterior, "layers", ()))

    @property
    def _decoded(self) -> str:
        return f"a code of {self.latent_dim} and {self.given} that are given" if self.given else "as the prior has"

    def conditional(self, z: Tensor, y: Tensor) -> Distribution:
        """Return p(x|z), or p(x|z, y) for codes z (..., D) and what is given, y (..., Y)."""
        if self.given:
            shape = torch.broadcast_shapes(z.shape[:-1], y.shape[:-1])
            z = torch.cat([z.expand(*shape, -1), y.to(z.dtype).expand(*shape, -1)], -1)
        p: Distribution = self.likelihood(z)
        return p

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z), shape (K, B), for rows x (B, X) and codes z (K, B, D) in the model's type.

        Of a conditional model: log p(x|z, y), for rows (B, X + Y). Where values may be missing: log p(x_observed|z).
        """
        x, y = self.split(x)
        if torch.is_grad_enabled() or z.ndim != 3 or z.device.type != "cpu":
            return self.log_density(self.conditional(z, y), x)
        return self._log_likelihood_in_parts(x, y, z)

    def _log_likelihood_in_parts(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z), (K, B), of few rows at a time with all their codes, as far as their logits fit a cache.

        So a likelihood prepares a row once for many codes. Codes (K, 1, D) that all rows share are not cut by rows.
        """
        codes, rows, columns = *z.shape[:2], x.shape[-1]
        height = _even(rows, _AT_ONCE // max(1, codes * columns)) if x.shape[:-1] == z.shape[1:2] else max(rows, len(x))
        width = _even(codes, _AT_ONCE // max(1, min(height, rows) * columns))
        parts = []
        for of_x, of_y, of_z in zip(x.split(height), y.split(height), z.split(height, 1), strict=True):
            few = of_z.contiguous().split(width)
            parts.append(torch.cat([self.log_density(self.conditional(each, of_y), of_x) for each in few]))
        return torch.cat(parts, 1)

    def log_joint(self, x: Table, z: Table) -> Tensor:
        """Return `log p(x, z) = log p(z) + log p(x|z)`, shape (K, B), for x (B, X) and z (K, B, D)."""
        x, z = self.observations(x), as_codes(z, self.any_weight)
        log_prior: Tensor = self.prior().log_prob(z)  # (K, B)
        return log_prior + self.log_likelihood(x, z)

    def log_weight(self, x: Table, z: Table, q: Distribution) -> Tensor:
        """Return `log w = log p(x, z) - log q(z|x)`, shape (K, B)."""
        return log_weights(self, self.observations(x), q, as_codes(z, self.any_weight))

    def kl(self, q: Distribution) -> Tensor:
        """Return `KL[q(z|x) || p(z)]` in closed form, shape (B,), or raise a NotImplementedError."""
        return kl_divergence(q, self.prior_of(q))

    def prior_of(self, q: Distribution) -> Distribution:
        """Return p(z), or refuse a q of another size, whose density torch would broadcast silently."""
        prior: Distribution = self.prior()
        if prior.event_shape != q.event_shape:
            raise InputError(
                f"posterior: expected codes of {prior.event_shape[0]} numbers, as the prior has; got {q.event_shape[0]}"
            )
        return prior

    def bound(self, x: Table, samples: int = 1, objective: Objective = _ELBO) -> Tensor:
        """Return a lower bound on log p(x), shape (B,), from ``samples`` codes for each observation.

        Args:
            x: observations, (B, X).
            samples: K.
            objective: ``ELBO()`` for `mean_k log p(x|z_k) - KL[q || p]`, ``IWAE()`` for `log 1/K sum_k w_k`; see
                :mod:`vaelab.objectives`.

        Raises:
            InputError: the model is a deterministic auto-encoder, which has no likelihood of x; the objective is not
                a bound; or x is not a table of numbers in [0, 1] on the model's device.

        >>> from vaelab.models import gaussian_vae
        >>> from vaelab.objectives import IWAE
        >>> gaussian_vae(6, latent_dim=2).bound(torch.ones(4, 6), samples=5, objective=IWAE()).shape
        torch.Size([4])
        """
        require_int("samples", samples, 1)
        self.require_likelihood()
        check_objective(self, objective)
        x = self.observations(x)
        with torch.no_grad(), evaluation_mode(self):
            q = self.posterior(x)
            objective = objective.with_closed_form_kl()
            return objective.bound(objective.terms(self, x, q, q.sample((samples,))))

    def encode(self, x: Table) -> Tensor:
        """Return the posterior mean of the code, shape (B, D), for observations x (B, X) in [0, 1]."""
        with torch.no_grad(), evaluation_mode(self):
            return statistic("posterior", self.posterior(self.observations(x)), "mean")

    def decode(self, z: Table, given: object = None) -> Tensor:
        """Return the mean of p(x|z), shape (..., X), for codes (..., D); of p(x|z, y) if y is given.

        Args:
            z: codes.
            given: y of a conditional model: a label, values of the columns, or one of them for each code.
        """
        codes = as_codes(z, self.any_weight)
        with torch.no_grad(), evaluation_mode(self):
            y = self.given_rows(given, codes.shape[:-1].numel()).reshape(*codes.shape[:-1], self.given)
            return statistic("likelihood", self.conditional(codes, y), "mean")

    def given_rows(self, given: object, count: int) -> Tensor:
        """Return y as a user gives it, as rows (count, Y)."""
        if not self.given:
            if given is not None:
                raise InputError("given: expected None, as the model is not conditional (see condition= of load_data)")
            return self.any_weight.new_zeros(count, 0)
        condition = None if self.spec is None else self.spec.condition
        condition = condition or Condition("columns", tuple(f"y{column}" for column in range(self.given)))
        return condition.rows(given, count).to(self.any_weight)

    def reconstruct(self, x: Table) -> Tensor:
        """Decode the most probable code of q(z|x): the mean of a Gaussian, the likelier value of each bit.

        Returns the mean of p(x|z), shape (B, X); of a multinomial likelihood that with the sum of each row of x.
        """
        rows = self.observations(x)
        code = self.encode(rows)
        best = (code > 0.5).to(code.dtype) if self.code == "bits" else code
        with torch.no_grad(), evaluation_mode(self):
            values, y = self.split(rows)
            conditional = self.conditional(best, y)
            if isinstance(conditional, Multinomial):
                return conditional.mean_of(values.sum(-1))
            return statistic("likelihood", conditional, "mean")

    def sample(self, n: int, kind: SampleKind = "draw", seed: int | None = None, given: object = None) -> Tensor:
        """Draw n observations from the model: z ~ p(z), then x ~ p(x|z); shape (n, X).

        ``kind`` says what is returned for each code z: ``draw``, a sample of p(x|z); ``mean``, the mean of p(x|z);
        ``mode``, its most probable value. An autoregressive likelihood estimates the mean from 64 draws, and its mode
        takes for each column the more probable value given those before. The same ``seed`` gives the same codes for
        every kind. A call with a seed leaves torch's global generator as it was. ``given`` is y of a conditional model
        p(x|z, y): a label, values of the columns, or one of them for each observation.

        Raises:
            InputError: ``n`` is less than 1, or an unknown ``kind``.
        """
        require_int("n", n, 1)
        require_choice("kind", kind, get_args(SampleKind))
        y = self.given_rows(given, n)
        with torch.no_grad(), evaluation_mode(self), seeded(seed, "sample"):
            conditional = self.conditional(self.prior().sample((n,)), y)  # batch (n,), event (X,)
            draws: Tensor = conditional.sample() if kind == "draw" else statistic("likelihood", conditional, kind)
            return draws

    def _require_columns(self, spec: DataSpec) -> None:
        of_likelihood = columns_of(self.likelihood)
        if of_likelihood is not None:
            of_likelihood.require_columns(spec)

    def require_likelihood(self) -> None:
        """Raise a :class:`InputError` if x has no likelihood under this model (deterministic auto-encoder)."""
        if self.code == "point":
            raise InputError(
                "model: a deterministic auto-encoder has no likelihood of x, so no bound; "
                "its reconstruction error and the density of its codes are reported instead"
            )


def _even(count: int, most: int) -> int:
    """Return the size of the fewest parts of about the same size that have at most so many, at least one."""
    return max(1, math.ceil(count / math.ceil(count / max(1, most)))) if count else 1


def require_latent(model: object, what: str) -> LatentVariableModel:
    """Return a model with codes, or raise an :class:`~vaelab.errors.InputError` that says what needs them.

    >>> from vaelab.models import independent
    >>> require_latent(independent(6), "encode")
    Traceback (most recent call last):
    vaelab.errors.InputError: model: expected a model with codes, as encode is about codes; independent has none
    """
    checked = require_model(model)
    if not isinstance(checked, LatentVariableModel):
        raise InputError(f"model: expected a model with codes, as {what} is about codes; {checked.name} has none")
    return checked


def _as_part(
    name: str, module: nn.Module, inputs: tuple[Tensor, ...], by_name: dict[str, Tensor], returned: object
) -> Distribution:
    """Check what a part of a model returned: a distribution over vectors, one for each row of the part's input."""
    distribution, given = as_vector(returned, name), (*inputs, *by_name.values())
    expected = given[0].shape[:-1] if given else ()
    if tuple(distribution.batch_shape) != tuple(expected):
        raise InputError(
            f"{name}: expected a distribution of batch shape {tuple(expected)}, one for each row of its input; "
            f"got batch shape {tuple(distribution.batch_shape)}"
        )
    return distribution
