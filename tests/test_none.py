"""None as the value of an option: the default where it is the default, and refused everywhere else."""

import inspect

import pytest

import vaelab.sklearn
from vaelab.errors import InputError
from vaelab.models import MODELS
from vaelab.settings import options_of, resolve
from vaelab.sklearn.base import _OF_THE_ESTIMATOR

OPTIONS = [(model, name) for model in MODELS for name in options_of(MODELS[model].build)]
ESTIMATORS = [getattr(vaelab.sklearn, name) for name in vaelab.sklearn.__all__]


@pytest.mark.parametrize(("model", "name"), OPTIONS, ids=[".".join(pair) for pair in OPTIONS])
def test_python_and_settings_take_none_where_it_is_the_default(model: str, name: str) -> None:
    _, default = options_of(MODELS[model].build)[name]
    if default is None:
        assert getattr(resolve(model, {name: None}), name) is None
        MODELS[model].build(6, **{name: None})
        return
    with pytest.raises(InputError, match=rf"^{name}: expected .*; got None$"):
        resolve(model, {name: None})
    with pytest.raises(InputError, match=rf"^{name}: expected a value, such as .*; got None$"):
        MODELS[model].build(6, **{name: None})


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_estimators_of_scikit_learn_take_none_where_it_is_the_default(kind: type) -> None:
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in _OF_THE_ESTIMATOR:
            continue
        estimator = kind(**{name: None})
        if parameter.default is None:
            estimator._settings(20)
        else:
            with pytest.raises(InputError, match=rf"{name}: expected .*; got None"):
                estimator._settings(20)
