"""Names of settings in papers and other libraries, and vaelab's names for them.

Each table maps the words to write to the names that people use for them. A test reads every row: ``resolve`` accepts
the words.
"""

from __future__ import annotations

from collections.abc import Callable

from vaelab.settings.syntax import Hint, pairs_of

__all__ = ["KEYS", "NAMES", "hint_for_key", "hint_for_name"]

# Of a key the last part counts, its hyphens as underscores.
KEYS = {
    "training.learning_rate=1e-3": "lr eta step_size stepsize rate",
    "training.epochs=20": "epoch n_epochs num_epochs max_epochs",
    "training.steps=5000": "step iterations iters n_steps num_steps max_steps n_iter max_iter updates",
    "training.batch_size=100": "batch bs batchsize minibatch minibatch_size",
    "training.clip=1.0": "grad_clip gradient_clip clip_norm max_grad_norm",
    "training.schedule=cosine": "scheduler lr_schedule lr_scheduler",
    "training.warmup=200": "lr_warmup warmup_steps lr_warm_up",
    "objective.warm_up=1000": "kl_warmup kl_warm_up kl_annealing kl_anneal anneal annealing annealing_steps "
    "beta_warmup beta_warm_up beta_annealing",
    "objective.free_bits=0.05": "free_nats kl_free kl_free_bits min_kl freebits kl_floor lambda_free",
    "training.patience=10": "early_stopping earlystopping",
    "training.average=true": "ema swa polyak weight_averaging",
    "training.precision=bfloat16": "dtype amp bf16 mixed_precision",
    "latent_dim=20": "z_dim zdim dim_z latent latents latent_size latent_dims code_dim code_size n_latent n_latents "
    "num_latents",
    "layers=[200,100]": "z_dim zdim dim_z latent latents latent_size latent_dims latent_dim code_dim code_size "
    "n_latent n_latents num_latents",
    "hidden_dims=[200,200]": "hidden hidden_dim hidden_size hidden_sizes hidden_units hidden_layers units layers width "
    "widths n_hidden n_layers num_layers h_dim",
    "hidden_dims=[[200],[200]]": "hidden hidden_dim hidden_size hidden_sizes hidden_units hidden_layers units "
    "width widths n_hidden n_layers num_layers h_dim",
    "activation=relu": "nonlinearity non_linearity act",
    "objective.beta=4": "kl_weight kl_coef beta_kl",
    "objective.name=renyi objective.alpha=0.5": "alpha renyi_alpha alpha_divergence",
    "objective.name=miwae objective.groups=2": "groups n_groups num_groups outer_samples",
    "objective.name=ciwae objective.elbo_weight=0.5": "elbo_weight ciwae_beta",
    "objective.name=tvo objective.intervals=5": "intervals partitions num_partitions n_partitions",
    "objective.name=elbo": "loss criterion",
    "estimator.samples=4": "k n_samples num_samples particles num_particles importance_samples mc_samples",
    "estimator.name=score-function": "gradient gradient_estimator grad_estimator",
    "estimator.name=score-function estimator.baseline=leave-one-out": "baseline control_variate",
    "estimator.name=rebar estimator.temperature=0.5": "temperature temp tau",
    "components=10": "n_components num_components n_clusters",
    "covariance=full": "covariance_type",
    "seed=1": "random_state random_seed rng manual_seed",
    "data=mnist": "dataset data_set data_path input",
    "binarisation=dynamic": "binarization binarize binarise",
    "device=cuda": "gpu gpus cuda accelerator",
}

# Names of things that vaelab has no setting for.
_NONE = (
    (
        Hint("vaelab always uses Adam; ", pairs_of("training.learning_rate=1e-3"), " sets its learning rate"),
        "optimizer optimiser optim",
    ),
    (Hint("vaelab has no such regularisation"), "weight_decay l2 momentum"),
    (
        Hint("vaelab has no batch normalisation; ", pairs_of("normalisation=layer"), " normalises each row"),
        "batch_norm batchnorm",
    ),
)

NAMES = {
    "estimator.name": {
        "estimator.name=score-function": "reinforce score policy-gradient likelihood-ratio",
        "estimator.name=score-function estimator.baseline=leave-one-out": "rloo leave-one-out",
        "estimator.name=score-function estimator.baseline=leave-one-out objective.name=iwae": "vimco",
        "estimator.name=score-function estimator.baseline=network": "nvil",
        "estimator.name=concrete": "gumbel gumbel-softmax binary-concrete",
        "estimator.name=straight-through": "st ste",
        "estimator.name=half": "reinmax zgr darn half-rule",
        "estimator.name=gumbel-straight-through": "st-gumbel",
        "estimator.name=gumbel-straight-through estimator.conditional_samples=10": "gumbel-rao rao gr-mck",
        "estimator.name=bitflip": "bitflip-1 bit-flip",
        "estimator.name=local-expectation": "leg local-expectations",
        "estimator.name=disarm": "u2g",
        "estimator.name=pathwise": "reparameterization reparameterisation reparam rsample sgvb",
        "estimator.name=sticking-the-landing": "stl",
        "estimator.name=doubly-reparameterised objective.name=iwae": "dreg",
        "estimator.name=wake-sleep": "ws",
        "estimator.name=reweighted-wake-sleep objective.name=iwae": "rws",
        "estimator.name=covariance objective.name=tvo": "tvo thermodynamic",
        "estimator.name=exact latent_dim=10": "enumeration enumerate",
        "estimator.name=exact latent_dim=2": "quadrature gauss-hermite",
    },
    "objective.name": {
        "objective.name=elbo": "vae evidence",
        "objective.name=elbo objective.beta=4": "beta-vae",
        "objective.name=iwae": "iw iwelbo iw-elbo",
        "objective.name=iwae estimator.name=score-function estimator.baseline=leave-one-out": "vimco",
        "objective.name=elbo objective.warm_up=1000": "annealed-elbo kl-annealing warm-up warmup",
        "objective.name=elbo objective.free_bits=0.05": "free-bits free-nats",
        "objective.name=renyi objective.alpha=0.5": "vr vr-bound variational-renyi alpha-divergence",
        "objective.name=tvo": "thermodynamic",
        "objective.name=reconstruction": "mse bce",
    },
    "model": {
        "gaussian-vae": "vae gaussian",
        "gaussian-vae objective.beta=4": "beta-vae",
        "gaussian-vae objective.name=iwae estimator.samples=5": "iwae",
        "gaussian-vae objective.name=renyi objective.alpha=0.5": "renyi vr",
        "gaussian-vae objective.name=miwae estimator.samples=8": "miwae",
        "gaussian-vae objective.name=piwae estimator.samples=8": "piwae",
        "gaussian-vae objective.name=ciwae estimator.samples=8": "ciwae",
        "bernoulli-vae": "bernoulli binary-vae discrete-vae dvae",
        "bernoulli-vae estimator.name=score-function estimator.baseline=network": "nvil",
        "bernoulli-vae estimator.name=score-function estimator.baseline=leave-one-out objective.name=iwae": "vimco",
        "deep-gaussian-vae": "hvae hierarchical-vae ladder-vae",
        "logistic-pca": "pca binary-pca bernoulli-pca item-response-theory irt",
        "autoencoder": "ae auto-encoder rae",
        "bernoulli-mixture": "mixture mixture-model latent-class lca bmm stepmix",
        "tree-mixture": "mixture-of-trees mixtrees mt",
        "hidden-chow-liu": "hclt hidden-tree latent-tree hidden-markov-tree",
        "made": "nade autoregressive masked-autoregressive",
        "rbm": "boltzmann boltzmann-machine restricted-boltzmann-machine bernoulli-rbm",
        "sbn layers=[200]": "belief-network sigmoid-belief-network",
        "sbn layers=[200,200]": "dbn dbm",
        "sbn layers=[200] inference=wake-sleep": "helmholtz helmholtz-machine",
    },
}
_RELATIVES = ("pca", "nade", "dbn", "dbm", "ladder-vae")  # vaelab has only something similar


def hint_for_key(key: str, accepted: Callable[[str], bool]) -> Hint | None:
    """Return what to write instead of a key (arguments that are ``accepted``), or None.

    >>> str(hint_for_key("training.lr", lambda words: True))
    'write training.learning_rate=1e-3'
    """
    last = _plain(key.rpartition(".")[2].lstrip("-"), "_")
    for reason, names in _NONE:
        if last in names.split():
            return reason
    for words, names in KEYS.items():
        keys = [word.partition("=")[0] for word in words.split()]
        if last in names.split() and (key not in keys or len(keys) > 1) and accepted(words):
            return Hint("write ", pairs_of(words))
    return None


def hint_for_name(key: str, name: str) -> Hint | None:
    """Return what to write for a choice that has a different name in vaelab, or None.

    >>> str(hint_for_name("estimator.name", "NVIL"))
    'write estimator.name=score-function estimator.baseline=network'
    """
    plain = _plain(name, "-")
    for words, names in NAMES.get(key, {}).items():
        if plain in names.split():
            return Hint("the nearest is " if plain in _RELATIVES else "write ", pairs_of(words))
    return None


def _plain(word: str, joint: str) -> str:
    return word.strip().lower().replace("_", joint).replace("-", joint).replace(" ", joint)
