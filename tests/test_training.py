"""Room: training. What the loop promises: the same run from the same seed, the best weights, an honest stop."""

import contextlib
import math
import threading

import pytest
import torch

from tests.laws import MODELS, binary_data, build, largest_difference
from tests.training_process import OPTIONS, run_training
from vaelab.errors import InputError
from vaelab.estimators import Pathwise, Rebar, ScoreFunction
from vaelab.likelihood import objective_bound
from vaelab.models import autoencoder, gaussian_vae
from vaelab.objectives import ELBO, IWAE, Reconstruction
from vaelab.runs import Run
from vaelab.settings import TrainingSettings, resolve
from vaelab.training import Diverged, choose_device, fit, train
from vaelab.training.adam import Adam
from vaelab.training.log import Log
from vaelab.training.schedule import learning_rate_factor
from vaelab.training.step import update_by_adam

CLOCK = {"seconds", "observations_per_second"}
RUNS = ["gaussian-vae", "bernoulli-vae", "autoencoder"]


def rows_of(run):
    """Return the logged rows without what a clock says."""
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in run.metrics()]


def weights_of(path):
    """Return every tensor a run keeps: the selected weights and the mixture."""
    model = Run(path).load_model()
    return model.state_dict() | (model.prior.arrays() if hasattr(model.prior, "arrays") else {})


@pytest.mark.torch_versions
@pytest.mark.parametrize("model", RUNS)
def test_the_same_seed_gives_bitwise_the_same_run_and_another_seed_another(model, tmp_path):
    torch.manual_seed(1)
    first, _ = run_training(tmp_path / "first", model=model)
    torch.manual_seed(2)  # what was drawn before is of no account
    second, _ = run_training(tmp_path / "second", model=model)
    other, _ = run_training(tmp_path / "other", model=model, more={"seed": 1})
    assert rows_of(first) == rows_of(second) != rows_of(other)
    assert largest_difference(weights_of(first.path), weights_of(second.path)) == 0
    assert largest_difference(weights_of(first.path), weights_of(other.path)) > 0.01
    assert first.finished


@pytest.mark.torch_versions
@pytest.mark.parametrize("model", RUNS)
def test_training_raises_the_bound_and_keeps_the_weights_of_the_best_validation(model, tmp_path):
    run, fitted = run_training(tmp_path / "run", model=model, more={"training": {"steps": 400}})
    rows = run.metrics()
    key = "val/reconstruction" if model == "autoencoder" else "val/bound"
    validated = [(row[key], row["step"]) for row in rows if key in row]
    assert [step for _, step in validated] == list(range(20, 401, 20))
    assert (fitted.best_bound, fitted.best_step) == max(validated, key=lambda pair: pair[0])
    assert fitted.best_bound > validated[0][0] + 0.3
    held_out = binary_data().validation.observations()
    objective = Reconstruction() if model == "autoencoder" else ELBO()
    samples = run.settings.estimator["samples"]
    assert objective_bound(run.load_model(), held_out, objective, samples, 0).mean == fitted.best_bound
    assert [row["step"] for row in rows if row.get("finished")] == [400]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "two layers of reals"])
def test_weights_that_get_worse_are_not_those_that_are_kept(name):
    """Half way the decoder's weights are blown up; what comes after is worse, and training cannot mend it in time.

    Not of two layers of reals, whose scales are so far off at first that the decoder is the least of it.
    """
    model, data, seen = build(name).float(), binary_data(), []

    def ruin(row):
        seen.append(row)
        if row["step"] == 60:
            with torch.no_grad():
                [*model.likelihood.modules()][-1].weight.mul_(30)

    length = {"steps": 80, "validate_every": 20, "log_every": 20}
    fitted = fit(model, data, **length, callback=ruin)
    key = "val/reconstruction" if name == "autoencoder" else "val/bound"
    validated = {row["step"]: row[key] for row in seen}
    assert fitted.best_bound == max(validated.values()) == validated[fitted.best_step]
    assert fitted.best_step <= 60
    held_out = data.validation.observations()
    objective = Reconstruction() if name == "autoencoder" else ELBO()
    samples = {"bits": 4 if len(model.layers) > 1 else 2}.get(model.code, 1)  # as in training
    assert objective_bound(model, held_out, objective, samples, 0).mean == fitted.best_bound
    assert not model.training


@pytest.mark.torch_versions
def test_patience_stops_and_a_stopped_run_stays_stopped(tmp_path):
    more = {"training": {"steps": 5000, "learning_rate": 0.3, "schedule": "constant", "patience": 3}}
    run, fitted = run_training(tmp_path / "run", more=more)
    rows = run.metrics()
    assert fitted.stop_reason == "patience"
    assert fitted.steps == fitted.best_step + 3 * 20 < 5000
    assert rows[-1]["finished"]
    kept = weights_of(run.path)
    again, resumed = run_training(tmp_path / "run", more=more, resume=True)
    assert (resumed.stop_reason, resumed.steps, resumed.best_bound) == ("patience", fitted.steps, fitted.best_bound)
    assert again.metrics() == rows
    assert largest_difference(weights_of(run.path), kept) == 0


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    run, fitted = run_training(tmp_path / "run", model="autoencoder")
    kept, rows = weights_of(run.path), run.metrics()
    _, again = run_training(tmp_path / "run", model="autoencoder", resume=True)
    assert (again.stop_reason, again.steps, again.best_step) == ("finished", fitted.steps, fitted.best_step)
    assert run.metrics() == rows
    assert largest_difference(weights_of(run.path), kept) == 0


def poison(model, at):
    """Return a watcher that ruins the weights once ``at`` is logged, as a wild step would."""

    def watch(row):
        if row["step"] == at:
            with torch.no_grad():
                model.likelihood.network.layers[-1].bias.fill_(math.nan)

    return watch


def test_a_nan_stops_with_the_step_and_advice_and_keeps_the_last_good_checkpoint(tmp_path):
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 40}})
    model = run.settings.build_model(binary_data())
    longer = TrainingSettings(**{**run.settings.training.model_dump(), "steps": 90})
    kept = weights_of(run.path)
    with pytest.raises(Diverged, match=r"not finite at step 49; the last good value was -\d+\.\d\d; try .*rate"):
        fit(
            model,
            binary_data(),
            settings=longer,
            estimator=run.settings.build_estimator(model),
            run=run,
            callback=poison(model, 48),
        )
    assert run.load_checkpoint()["step"] == 40
    assert all(value.isfinite().all() for value in run.load_checkpoint()["model"].values())
    assert largest_difference(weights_of(run.path), kept) == 0
    assert [row["step"] for row in run.metrics()][-1] == 48


def test_weights_that_stop_being_finite_at_a_validation_are_not_saved(tmp_path, monkeypatch):
    """Of step 30 the average takes in nothing, so what is validated is finite still."""

    class Wild(Adam):
        def step(self):
            super().step()
            if self.count == 30:
                with torch.no_grad():
                    self.weights[0].fill_(math.nan)

    monkeypatch.setattr("vaelab.training.optimizers.Adam", Wild)
    with pytest.raises(Diverged, match="the weights are not finite at step 30"):
        run_training(tmp_path / "run", more={"training": {"validate_every": 10}})
    saved = Run(tmp_path / "run").load_checkpoint()
    assert saved["step"] == 20
    assert all(value.isfinite().all() for value in saved["model"].values())


def test_a_learning_rate_far_too_large_is_told_as_such(tmp_path):
    more = {"training": {"learning_rate": 1e30, "warmup": 0}}
    with pytest.raises(Diverged, match=r"training: the .*bound is n.* at step \d+; .*learning_rate"):
        run_training(tmp_path / "run", model="gaussian-vae", more=more)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


def two(seen):
    """Return a watcher that collects two rows and ends the training."""

    def watch(row):
        seen.append(row)
        if len(seen) == 2:
            raise StopIteration

    return watch


def test_the_bound_reported_while_the_kl_warms_up_has_beta_one():
    """Same weights, same codes: only what is maximised may depend on the warm-up, so the first row may not."""
    rows = []
    for warmup in (0, 1000):
        seen = []
        model = build("gaussian").float()
        with contextlib.suppress(StopIteration):
            fit(model, binary_data(), steps=1001, log_every=1, objective=ELBO(warm_up=warmup), callback=two(seen))
        rows.append(seen)
    (plain, plain_next), (warmed, warmed_next) = rows
    assert (
        plain["train/bound"]
        == warmed["train/bound"]
        == pytest.approx(plain["train/reconstruction"] - plain["train/kl"])
    )
    assert plain_next["train/bound"] != warmed_next["train/bound"]  # the step taken differs


def test_clipping_bounds_the_gradient_that_the_optimiser_sees():
    norms = []

    class Noted(torch.optim.SGD):
        def step(self):
            gradients = [weight.grad for group in self.param_groups for weight in group["params"]]
            norms.append(float(torch.cat([part.flatten() for part in gradients if part is not None]).norm()))
            super().step()

    for clip in (None, 1e-3):
        fit(build("gaussian").float(), binary_data(), steps=1, clip=clip, optimizer=Noted)
    assert norms[0] > 0.1
    assert norms[1] == pytest.approx(1e-3, rel=1e-4)


# ---------------------------------------------------------------- the optimiser


def test_sgd_moves_every_weight_against_its_gradient_times_the_rate_of_the_schedule():
    """Half the rate in the first of two steps of a rise; ten times the rate for what the estimator learns."""
    model, seen = build("bits, uniform prior").float(), []

    class Noted(torch.optim.SGD):
        def step(self):
            before = [[weight.detach().clone() for weight in group["params"]] for group in self.param_groups]
            super().step()
            for weights, group, rate in zip(before, self.param_groups, (0.1, 1.0), strict=True):
                for old, new in zip(weights, group["params"], strict=True):
                    expected = old if new.grad is None else old - rate * (0.5 + 0.5 * len(seen)) * new.grad
                    assert torch.allclose(new, expected, rtol=0, atol=1e-6)
            seen.append([group["lr"] for group in self.param_groups])

    estimator = Rebar(model, 2)
    assert estimator.learning_rate_factor == 10
    length = {"steps": 2, "warmup": 2, "schedule": "constant", "log_every": 1}
    fit(model, binary_data(), estimator=estimator, optimizer=lambda w: Noted(w, lr=0.1), **length)
    assert seen == [pytest.approx([0.05, 0.5]), pytest.approx([0.1, 1.0])]


@pytest.mark.torch_versions
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_any_optimiser_resumes_to_the_weights_of_a_training_without_a_stop(compiled, tmp_path):
    settings = resolve("gaussian-vae", OPTIONS)
    length = settings.training.model_copy(update={"steps": 24, "validate_every": 8, "compile": compiled})

    def train(path, callback=None, momentum=0.9):
        run = Run(path) if path.exists() else Run.create(path, settings, binary_data())
        model = settings.build_model(binary_data())
        with contextlib.suppress(StopIteration):
            fit(
                model,
                binary_data(),
                settings=length.model_copy(update={"learning_rate": None}),
                run=run,
                optimizer=lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=momentum),
                callback=callback,
            )
        return model.state_dict()

    def stop(row):
        if row["step"] == 16:
            raise StopIteration

    torch.manual_seed(1)
    whole = train(tmp_path / "whole")
    torch.manual_seed(1)
    train(tmp_path / "stopped", stop)
    with pytest.raises(InputError, match=r"resume: expected the optimiser .* with, momentum = 0\.9; got 0\.5"):
        train(tmp_path / "stopped", momentum=0.5)
    assert largest_difference(train(tmp_path / "stopped"), whole) == 0
    with pytest.raises(InputError, match="resume: expected the optimiser that the run was started with, SGD; got Adam"):
        fit(settings.build_model(binary_data()), binary_data(), settings=length, run=Run(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("optimizer", "sentence"),
    [
        (torch.optim.SGD([torch.zeros(1)], lr=0.1), "optimizer: expected a function from parameters .*; got SGD"),
        ("adam", "optimizer: expected a function from parameters to an optimiser, such as .*; got str"),
        (lambda weights: None, "optimizer: expected a function that returns a torch optimiser, .*; got NoneType"),
        (
            lambda weights: torch.optim.SGD([torch.zeros(1)], lr=0.1),
            "optimizer: expected an optimiser of the parameters",
        ),
        (torch.optim.LBFGS, "optimizer: LBFGS evaluates the loss several times a step"),
    ],
)
def test_what_is_no_optimiser_of_the_model_is_refused(optimizer, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        fit(build("gaussian").float(), binary_data(), steps=1, optimizer=optimizer)
    assert "\n" not in str(refused.value)


def test_the_learning_rate_is_given_once():
    options = {"steps": 1, "optimizer": torch.optim.SGD}
    with pytest.raises(InputError, match=r"learning_rate or optimizer, not both; .*SGD\(parameters, lr=0.2\)"):
        fit(build("gaussian").float(), binary_data(), learning_rate=0.2, **options)


@pytest.mark.torch_versions
@pytest.mark.parametrize("compiled", [False, True])
def test_adam_takes_the_steps_of_torchs_own(compiled):
    """To rounding, in float64: two groups, a gradient that lies transposed in memory, a weight that never has one."""
    torch.manual_seed(0)
    shapes = ((3, 5), (5,), (2,), (4, 4))
    ours = [torch.nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in shapes]
    theirs = [torch.nn.Parameter(weight.detach().clone()) for weight in ours]

    def groups(weights):
        return [{"params": weights[:3], "lr": 0.01}, {"params": weights[3:], "lr": 0.1, "betas": (0.9, 0.99999)}]

    adam, peer = Adam(groups(ours)), torch.optim.Adam(groups(theirs), fused=True)

    def move(gradients):
        if not compiled:
            return adam.step()
        with torch.no_grad():
            return update_by_adam(adam, gradients, adam.begin_step())

    for _ in range(20):
        gradients = [torch.randn(5, 3).double().T, torch.randn(5).double(), None, torch.randn(4, 4).double()]
        for one, other, gradient in zip(ours, theirs, gradients, strict=True):
            one.grad, other.grad = gradient, None if gradient is None else gradient.contiguous()
        move(gradients)
        peer.step()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)
    again = Adam(groups(ours))
    again.load_state_dict(adam.state_dict())
    assert again.count == 20
    assert all(torch.equal(a, b) for a, b in zip(again.means + again.squares, adam.means + adam.squares, strict=True))


def test_fit_gives_an_autoencoder_the_mixture_that_train_gives_it(tmp_path):
    small = {"latent_dim": 2, "hidden_dims": [8], "components": [2, 3]}
    settings = resolve("autoencoder", {**small, "training": {"steps": 20, "precision": "float32"}})
    run, _ = train(settings.model_copy(update={"data": "patterns"}), tmp_path / "run", data=binary_data())
    model = autoencoder(binary_data(), **small, seed=0)
    fit(model, binary_data(), steps=20, precision="float32")
    assert largest_difference(run.load_model().state_dict(), model.state_dict()) == 0
    assert model.sample(3).shape == (3, 5)


def test_more_components_than_rows_are_refused_before_the_training():
    rows = []
    with pytest.raises(InputError, match="components: expected at most 240, the rows of the training split; got 300"):
        fit(autoencoder(5, components=[300]), binary_data(), steps=5, callback=rows.append)
    assert rows == []


def test_an_epoch_is_the_whole_batches_of_the_training_split():
    data = binary_data()  # 240 training rows
    assert fit(build("gaussian").float(), data, epochs=3, batch_size=50).steps == 3 * 4
    assert fit(build("gaussian").float(), data, steps=7, batch_size=1000).steps == 7


def test_the_learning_rate_follows_its_schedule():
    settings = TrainingSettings(steps=100, learning_rate=0.4, warmup=10, schedule="constant")
    assert [learning_rate_factor(settings, step, 100) for step in (0, 4, 9, 50)] == pytest.approx([0.1, 0.5, 1, 1])
    cosine = settings.model_copy(update={"schedule": "cosine", "warmup": 0})
    factors = [learning_rate_factor(cosine, step, 100) for step in (0, 50, 75, 100)]
    assert factors == pytest.approx([1, 0.5, 0.5 * (1 - math.sqrt(0.5)), 0.0])
    seen = []
    fit(
        build("gaussian").float(),
        binary_data(),
        settings=cosine.model_copy(update={"log_every": 1}),
        callback=seen.append,
    )
    assert [row["lr"] for row in seen] == [0.4 * learning_rate_factor(cosine, step, 100) for step in range(100)]


@pytest.mark.parametrize("name", MODELS)
def test_the_default_estimator_suits_the_model(name):
    fitted = fit(build(name).float(), binary_data(), steps=3)
    assert (fitted.steps, fitted.stop_reason, fitted.best_step) == (3, "finished", 3)
    assert math.isfinite(fitted.best_bound)


def test_training_leaves_the_global_generator_alone_and_works_outside_the_main_thread():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    model, ended = build("gaussian").float(), []
    thread = threading.Thread(target=lambda: ended.append(fit(model, binary_data(), steps=3).stop_reason))
    thread.start()
    thread.join()
    assert ended == ["finished"]
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("bits, uniform prior", {"estimator": Pathwise}, "estimator: 'pathwise' needs codes of kind"),
        ("autoencoder", {"estimator": ScoreFunction}, "estimator: 'score-function' needs codes of kind"),
        ("autoencoder", {"objective": ELBO()}, "objective: expected 'reconstruction'"),
        ("autoencoder", {"objective": IWAE()}, "objective: expected 'reconstruction'"),
        ("gaussian", {"objective": Reconstruction()}, "objective: expected 'elbo' or 'iwae'"),
        ("gaussian", {"learningrate": 0.1}, "^learningrate: no such setting .did you mean 'learning_rate'"),
        ("gaussian", {"epochs": 2}, "^steps: expected epochs or steps, one of the two"),
        ("gaussian", {"settings": TrainingSettings(steps=2)}, "not both; got steps"),
        ("gaussian", {"batch_size": 0}, "^batch_size: expected at least 1; got 0"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(name, options, sentence):
    model, options = build(name).float(), {"steps": 2, **options}
    if "estimator" in options:
        options["estimator"] = options["estimator"](model)
    with pytest.raises(InputError, match=sentence) as refused:
        fit(model, binary_data(), **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("build_model", [gaussian_vae, autoencoder])
def test_data_of_another_width_are_refused(build_model):
    with pytest.raises(InputError, match=r"expected inputs of shape \(..., 7\); got \(\d+, 5\)"):
        fit(build_model(7), binary_data(), steps=2)


def test_a_device_that_is_not_there_is_refused():
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("tpu", "cuda:99", "gpu"):
        with pytest.raises(InputError, match=f"device: expected auto, cpu or an available accelerator; got '{name}'"):
            choose_device(name)


def test_a_log_makes_room_for_the_steps_that_are_made():
    """Also after a resume; the interval between two rows costs no memory."""
    saved, log = Log(torch.device("cpu")), Log(torch.device("cpu"))
    for step in range(2500):
        saved.add(torch.full((3,), float(step)))
    log.load_state_dict(saved.state_dict())
    log.add(torch.full((3,), 2500.0))
    assert len(log.values) < 6000
    assert log.row(2501, 10**9, 1, 1e-3, ELBO())["train/bound"] == 1250.0


def test_the_first_images_a_second_after_a_resume_are_of_the_steps_made_since(monkeypatch):
    """Of eight estimates five were made before: three steps of 100 images in two seconds."""
    saved, log = Log(torch.device("cpu")), Log(torch.device("cpu"))
    for _ in range(5):
        saved.add(torch.zeros(3))
    log.load_state_dict(saved.state_dict())
    clock = iter([10.0, 12.0, 12.0])
    monkeypatch.setattr("vaelab.training.log.time.perf_counter", lambda: next(clock))
    log.start()
    for _ in range(3):
        log.add(torch.zeros(3))
    assert log.row(8, 8, 100, 1e-3, ELBO())["observations_per_second"] == 150.0
