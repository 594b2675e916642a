"""Small float64 models of every kind, and data for them."""

import math

import numpy as np
import torch

from vaelab.data import Batches, Dataset, Split
from vaelab.models import MODELS as ROWS
from vaelab.models import autoencoder, bernoulli_vae, deep_gaussian_vae, gaussian_vae, sbn
from vaelab.seeds import seed_step, seeded

__all__ = [
    "BITS",
    "LAYERED",
    "MODELS",
    "TABLE",
    "VARIATIONAL",
    "WITH_CODES",
    "B",
    "D",
    "X",
    "assert_batches_have_no_history",
    "binary_data",
    "build",
    "incomplete",
    "observations_of",
    "widths_of",
]

X, D, B = 5, 3, 2  # observation size, code size, batch size


def _layered(function):
    """Build a model of two layers, of ``latent_dim`` - 1 numbers and of one, or of the sizes in ``latent_dim``."""

    def build(data, latent_dim=D, hidden_dims=(4,), **options):
        layers = [latent_dim - 1, 1] if isinstance(latent_dim, int) and latent_dim > 1 else latent_dim
        widths = [hidden_dims, []] if function is deep_gaussian_vae and len(hidden_dims) == 1 else hidden_dims
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
WITH_CODES = [name for name, row in ROWS.items() if row.has_codes]  # rows of the table of models
VARIATIONAL = ["gaussian", *BITS, *LAYERED]


def build(name, latent_dim=D, data_dim=X, hidden_dims=(4,), seed=0, std=0.7):
    """Return the model of a row, its weights drawn from N(0, std^2): far from any symmetric start."""
    function, options = TABLE[name]
    with seeded(seed, name):
        model = function(data_dim, latent_dim=latent_dim, hidden_dims=hidden_dims, **options).double()
        for weight in model.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=std)
        if name == "autoencoder":
            model.prior.fit(torch.randn(40, latent_dim))
    return model.eval()


def widths_of(part):
    """Return the widths of the linear layers of a part's network."""
    return [layer.out_features for layer in part.network.layers if hasattr(layer, "out_features")]


def observations_of(count=B, dim=X, seed=1):
    """Return a table of bits, float64 (count, dim)."""
    return torch.randint(0, 2, (count, dim), generator=torch.Generator().manual_seed(seed)).double()


def incomplete(x):
    """Return observations of which 2 in 5 values of the first row are missing, and all of the last one."""
    x = x.clone()
    x[0, 1::2] = torch.nan
    x[-1] = torch.nan
    return x


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
