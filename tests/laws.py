"""Shared tables: small float64 models of every kind, data for them, and exact sums over their codes."""

import math
from itertools import product

import numpy as np
import torch
from torch.distributions import Bernoulli, kl_divergence

from vaelab.data import Batches, Dataset, Split
from vaelab.distributions import all_codes
from vaelab.estimators import Expectation
from vaelab.models import autoencoder, bernoulli_vae, deep_gaussian_vae, gaussian_vae, sbn
from vaelab.seeds import seed_step, seeded

X, D, B = 5, 3, 2  # observation size, code size, batch size


def _layered(function):
    """Build a model of two layers, of ``latent_dim`` - 1 numbers and of one."""

    def build(data, latent_dim=D, hidden_dims=(4,), **options):
        layers = [latent_dim - 1, 1] if isinstance(latent_dim, int) and latent_dim > 1 else latent_dim
        widths = [hidden_dims, []] if function is deep_gaussian_vae else hidden_dims
        return function(data, layers=layers, hidden_dims=widths, **options)

    return build


# name -> (build, options); smooth activations where a derivative is compared with differences
TABLE = {
    "gaussian": (gaussian_vae, {"activation": "tanh"}),
    "bits, uniform prior": (bernoulli_vae, {"activation": "tanh"}),
    "bits, learned prior": (bernoulli_vae, {"activation": "tanh", "prior": "learned"}),
    "two layers of bits": (_layered(sbn), {"activation": "tanh"}),
    "two layers of reals": (_layered(deep_gaussian_vae), {"activation": "tanh"}),
    "autoencoder": (autoencoder, {"activation": "tanh", "components": 2}),
}
MODELS = list(TABLE)
BITS = ["bits, uniform prior", "bits, learned prior"]
LAYERED = ["two layers of bits", "two layers of reals"]
VARIATIONAL = ["gaussian", *BITS, *LAYERED]


def build(name, latent_dim=D, data_dim=X, hidden_dims=(4,), seed=0):
    """Return the model of a row, its weights drawn from N(0, 1/2): far from any symmetric start."""
    function, options = TABLE[name]
    with seeded(seed, name):
        model = function(data_dim, latent_dim=latent_dim, hidden_dims=hidden_dims, **options).double()
        for weight in model.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.7)
        if name == "autoencoder":
            model.prior.fit(torch.randn(40, latent_dim))
    return model.eval()


def widths_of(part):
    """Return the widths of the linear layers of a part's network."""
    return [layer.out_features for layer in part.network.layers if hasattr(layer, "out_features")]


def divergence_of(model, q, z):
    """KL[q || p] in closed form, or of a chain, which has none, log q(z|x) - log p(z) of each code."""
    return q.log_prob(z) - model.prior().log_prob(z) if model.layers else kl_divergence(q, model.prior())


def observations_of(count=B, dim=X, seed=1):
    """Return a table of bits, float64 (count, dim)."""
    return torch.randint(0, 2, (count, dim), generator=torch.Generator().manual_seed(seed)).double()


def binary_data(rows=(240, 60, 60), dim=X, seed=0, image_shape=None):
    """Return a small data set of bits with structure: each row is one of two patterns, a tenth of it flipped."""
    generator = np.random.default_rng(seed)
    dim = dim if image_shape is None else math.prod(image_shape)
    patterns = generator.integers(0, 2, (2, dim))

    def split(count):
        which = generator.integers(0, 2, count)
        flips = generator.random((count, dim)) < 0.1
        return Split((patterns[which] ^ flips).astype(np.uint8), which.astype(np.int64))

    names = ("train", "validation", "test")
    return Dataset("patterns", dict(zip(names, map(split, rows), strict=True)), "binary", 1, image_shape)


def gradients(model, value):
    """Return d value / d every trained weight, by name, zeros where there is none."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    found = torch.autograd.grad(value, list(weights.values()), allow_unused=True, retain_graph=True)
    return {
        name: torch.zeros_like(weight) if gradient is None else gradient
        for (name, weight), gradient in zip(weights.items(), found, strict=True)
    }


def largest_difference(one, other):
    assert one.keys() == other.keys()
    if any(one[name].shape != other[name].shape for name in one):
        return float("inf")
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def code_tuples(dim, samples):
    """Return every tuple of K codes of D bits, float64 (T, K, D), T = 2^(D K)."""
    codes = all_codes(dim, torch.zeros((), dtype=torch.float64))
    return torch.stack([torch.stack(chosen) for chosen in product(codes, repeat=samples)])


def log_bernoulli(logits, value):
    """log p(value), by torch's own Bernoulli: shares nothing with vaelab's densities."""
    return Bernoulli(logits=logits, validate_args=False).log_prob(value).sum(-1)


def enumerate_bits(model, x, samples, bound, beta=1.0):
    """Return E_q[bound] (B,) over every tuple of K codes, differentiable in every weight.

    ``bound`` is ``elbo`` (its KL weighed by beta), ``iwae``, or ``exact`` for log p(x).
    """
    q_logits, p_logits = model.posterior(x).logits, model.prior().logits
    z = code_tuples(model.prior().logits.numel(), samples)  # (T, K, D)
    z = z.transpose(0, 1).unsqueeze(2)  # (K, T, 1, D)
    log_q = log_bernoulli(q_logits, z)  # (K, T, B)
    log_p = log_bernoulli(p_logits, z)  # (K, T, 1)
    log_x = log_bernoulli(model.likelihood(z).logits, x)  # (K, T, B)
    if bound == "exact":
        assert samples == 1
        return (log_x + log_p)[0].logsumexp(0)
    probability = log_q.sum(0).exp()  # (T, B)
    if bound == "elbo":
        values = (log_x - beta * (log_q - log_p)).mean(0)
    else:
        values = (log_x + log_p - log_q).logsumexp(0) - math.log(samples)
    return (probability * values).sum(0)


def score_every_tuple(model, estimator, objective, x):
    """Return (probability, estimate) of an estimator on every tuple of codes, the tuples laid along the batch."""
    dim, count = model.prior().logits.numel(), len(x)
    tuples = code_tuples(dim, estimator.samples)  # (T, K, D)
    z = tuples.repeat_interleave(count, 0).transpose(0, 1)  # (K, T B, D)
    repeated = x.repeat(len(tuples), 1)  # (T B, X)
    q = model.posterior(repeated)
    probability = log_bernoulli(q.logits, z).sum(0).exp().detach()  # (T B,)
    return probability, estimator.score(Expectation(model, objective, repeated, q), z)


def assert_batches_have_no_history(observed, size):
    """A batch depends on the seed and the step alone: not on the steps that were asked for before."""

    def batch(seed, step, before=()):
        batches = Batches(observed, size, seed)
        for earlier in before:
            batches(earlier)
        seed_step(seed, step, torch.device("cpu"))
        return batches(step)

    assert torch.equal(batch(1, 25), batch(1, 25, before=(0, 3, 24, 40)))
    assert not torch.equal(batch(1, 25), batch(2, 25))
    assert not torch.equal(batch(1, 25), batch(1, 26))
