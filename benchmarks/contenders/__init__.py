"""The cases that are timed, and who runs them: plain data, for every environment that takes part.

Each contender is a module of this folder, run as a process of its own (see ``turns``). ``describe`` says what a
contender does in a step, and ``cannot`` why a case is left out: nothing is made up for a library that has no such
estimator.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CASES", "CONTENDERS", "PIXELS", "Case", "Contender"]

PIXELS = 784


@dataclass(frozen=True)
class Case:
    """A net, an estimator and a batch. Layer sizes are the encoder's; the decoder mirrors them."""

    title: str
    code: str  # real, bits
    hidden_dims: tuple[int, ...]
    latent_dim: int
    batch_size: int
    samples: int
    objective: str
    steps: int  # in a turn


CASES = {
    "gaussian": Case("Gaussian VAE 784-400-20, ELBO, K = 1, batch 128", "real", (400,), 20, 128, 1, "elbo", 100),
    "iwae": Case("Gaussian VAE 784-200-200-50, IWAE, K = 50, batch 20", "real", (200, 200), 50, 20, 50, "iwae", 20),
    "disarm": Case("Bits 784-200-200-200, DisARM, K = 4, batch 100", "bits", (200, 200), 200, 100, 4, "elbo", 40),
}


@dataclass(frozen=True)
class Contender:
    """Who takes part: a module of this folder, its options, and what a step of it does."""

    module: str
    describe: str
    options: tuple[str, ...] = ()
    peer: bool = False  # runs in the peers' environment
    cannot: dict[str, str] = field(default_factory=dict)


_OURS = "vaelab.training.fit; bits drawn inside the step"
CONTENDERS = {
    "matrix products": Contender("products", "the step's matrix products alone, into preallocated outputs"),
    "matrix products bfloat16": Contender("products", "the same in bfloat16", ("--precision", "bfloat16")),
    "vaelab float32": Contender("ours", f"{_OURS}; float32"),
    "vaelab bfloat16": Contender("ours", f"{_OURS}; bfloat16", ("--precision", "bfloat16")),
    "vaelab compiled": Contender("ours", f"{_OURS}; float32, compiled", ("--compile",)),
    "vaelab bfloat16 compiled": Contender(
        "ours", f"{_OURS}; bfloat16, compiled", ("--precision", "bfloat16", "--compile")
    ),
    "tutorial loop": Contender(
        "tutorial", "DataLoader over a TensorDataset, Adam, loss.item() each step; bits drawn inside the step"
    ),
    "pythae": Contender(
        "pythae_trainer",
        "its TrainingPipeline and BaseTrainer, no evaluation set; bits drawn once, before the training",
        peer=True,
        cannot={"disarm": "pythae has no model whose code is a vector of bits"},
    ),
    "pyro": Contender(
        "pyro_svi",
        "SVI.step over a DataLoader, as its VAE tutorial; bits drawn once, before the training",
        peer=True,
        cannot={"disarm": "pyro has no DisARM"},
    ),
}
