"""What all functions that build models have in common: ``data``, ``network``, ``likelihood``, ``prior``, ``seed``."""

from vaelab.models.build.builder import builder, building_again
from vaelab.models.build.defaults import auto_options
from vaelab.models.build.networks import Networks
from vaelab.models.build.parts import Likelihood, Prior, build_likelihood, build_prior
from vaelab.models.build.sizes import bit_code_size, layer_sizes, real_code_size
from vaelab.models.build.start import start_prior

__all__ = [
    "Likelihood",
    "Networks",
    "Prior",
    "auto_options",
    "bit_code_size",
    "build_likelihood",
    "build_prior",
    "builder",
    "building_again",
    "layer_sizes",
    "real_code_size",
    "start_prior",
]
