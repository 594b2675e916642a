"""Density models at every door: commands, trainings, refusals, scikit-learn. Their laws are in test_density_laws."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.utils.estimator_checks import check_estimator
from torch import Tensor, nn
from torch.distributions import Distribution

import vaelab
from tests.commands import CommandLine
from tests.golden.make import mixed_data
from tests.laws import binary_data
from vaelab.data import Dataset, Observations, Split
from vaelab.distributions import Bernoulli
from vaelab.errors import InputError
from vaelab.models import MODELS, Counted, Differentiable, Pass, chow_liu, independent
from vaelab.runs import Run
from vaelab.settings import resolve, words
from vaelab.sklearn import ChowLiuTree, GaussianVAE, HiddenChowLiuTree, Independent
from vaelab.training import train

CODES = "expected a model with codes"
COUNTED = [name for name, row in MODELS.items() if row.learns == "counts"]
BITS = (np.random.default_rng(0).random((60, 4)) < 0.3).astype(np.uint8)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained tree of named columns, from a file."""
    folder = tmp_path_factory.mktemp("density")
    table = folder / "answers.csv"
    table.write_text("a,b,c,d\n" + "\n".join(",".join(map(str, row)) for row in BITS) + "\n")
    train(resolve("chow-liu", {"data": str(table)}), folder / "tree")
    return folder / "tree"


class TestCommands:
    def test_the_numbers_the_report_and_the_comparison_of_a_run(self, cli: CommandLine, run: Path) -> None:
        found = json.loads(cli("evaluate", run, "--json").out)["evaluations"]
        assert [each["name"] for each in found] == ["exact"]
        page = (run / "report.html").read_text()
        assert f"{found[0]['value']:.2f}" in page
        assert "Training curves" in page
        assert "vaelab explore" not in page
        floor = run.parent / "floor"
        cli("train", "independent", "--data", run.parent / "answers.csv", "--out", floor)
        compared = cli("compare", run, floor).out
        assert "floor - tree" in compared
        assert "†" not in compared

    def test_rows_are_drawn_and_filled(self, cli: CommandLine, run: Path, tmp_path: Path) -> None:
        cli("sample", run, "--out", tmp_path / "drawn.csv", "-n", 5)
        assert (tmp_path / "drawn.csv").read_text().splitlines()[0] == "a,b,c,d"
        gaps = tmp_path / "gaps.csv"
        gaps.write_text("a,b,c,d\n1,,0,1\n0,1,,\n")
        said = cli("impute", run, "--data", gaps, "--out", tmp_path / "full.csv", "--kind", "mode")
        assert all(
            cell in ("0", "1") for line in (tmp_path / "full.csv").read_text().split()[1:] for cell in line.split(",")
        )
        assert "effective samples" not in said.err

    @pytest.mark.parametrize(
        ("command", "more"),
        [
            ("encode", ("--out", "codes.npz")),
            ("reconstruct", ("--out", "rows.csv")),
            ("diagnose", ()),
            ("explore", ()),
            ("gradients", ()),
            ("tightness", ()),
            ("export", ("--out", "export")),
        ],
    )
    def test_what_is_about_codes_is_refused(
        self, cli: CommandLine, run: Path, command: str, more: tuple[str, ...]
    ) -> None:
        assert f"{CODES}, as {'onnx' if command == 'export' else command}" in cli.refused(command, run, *more)

    @pytest.mark.parametrize(
        "word", ["objective=iwae", "estimator=rebar", "samples=4", "steps=5", "training.patience=3"]
    )
    def test_settings_that_a_model_does_not_have_are_refused(self, cli: CommandLine, run: Path, word: str) -> None:
        sentence = cli.refused(
            "train", "independent", word, "--data", run.parent / "answers.csv", "--out", run.parent / "x"
        )
        assert "no such setting; independent" in sentence
        assert not (run.parent / "x").exists()

    def test_the_words_of_a_run_train_it_again(self, run: Path, tmp_path: Path) -> None:
        settings = Run(run).settings
        assert not [
            word for word in words(settings, unset=True) if word.startswith(("objective", "estimator", "training"))
        ]
        again, _ = train(settings, tmp_path / "again")
        assert torch.equal(again.load_model().sample(9, seed=0), Run(run).load_model().sample(9, seed=0))
        train(settings, tmp_path / "again", resume=True)  # which learns again, to the same model
        assert again.weights() == Run(tmp_path / "again").weights()
        assert len(again.metrics()) == 1

    def test_a_card_says_that_there_are_no_codes(self, cli: CommandLine, run: Path, tmp_path: Path) -> None:
        cli("evaluate", run)
        cli("export", run, "--format", "hub", "--out", tmp_path / "card")
        text = (tmp_path / "card" / "README.md").read_text()
        assert "density model p(x) without codes" in text
        assert "model.encode" not in text
        assert isinstance(vaelab.from_pretrained(tmp_path / "card"), vaelab.models.ChowLiuTree)

    def test_a_sweep_compares_log_likelihoods(self, cli: CommandLine, run: Path, tmp_path: Path) -> None:
        table = cli(
            "sweep", "chow-liu", "smoothing=[1, 30]", "--data", run.parent / "answers.csv", "--out", tmp_path / "s"
        ).out
        assert "validation log p(x)" in table

    def test_a_model_that_ends_below_independent_columns_says_so(self, cli: CommandLine, run: Path) -> None:
        words = ("train", "rbm", "--data", run.parent / "answers.csv", "--out", run.parent / "rbm", "--overwrite")
        said = cli(*words, "hidden=2", "steps=4", "training.warmup=0", "learning_rate=20").err
        assert "warning: rbm ends " in said
        assert "below independent columns" in said
        assert "a lower learning_rate" in said
        assert "warning" not in cli(*words, "hidden=2", "steps=4", "learning_rate=1e-6").err


class TestColumns:
    def test_smoothed_shares_of_observed_bits(self) -> None:
        rows = np.array([[1, 0], [1, np.nan], [0, np.nan], [1, 0]], np.float32)
        splits = {"train": Split(rows, weights=np.array([1, 2, 1, 0.5], np.float32)), "validation": Split(rows)}
        model = independent(data := Dataset("gaps", splits, "binary", 1), smoothing=0.5)
        vaelab.fit(model, data, device="cpu")
        expected = [(3.5 + 0.5) / (4.5 + 1), 0.5 / (1.5 + 1)]
        assert model().mean.tolist() == pytest.approx(expected, rel=1e-6)

    def test_every_kind_of_column(self) -> None:
        """A real column is normal with its own mean and deviation; levels and bits have smoothed shares."""
        data = mixed_data(np.random.default_rng(0))
        model = independent(data)
        vaelab.fit(model, data, device="cpu")
        x = data.splits["train"].x
        known = ~np.isnan(x)
        height, share = x[known[:, 0], 0], x[known[:, 2]][:, 2:5].sum(0)
        row = np.array([[180.0, np.nan, 0, 1, 0, np.nan]], np.float32)
        normal = stats.norm(height.mean(dtype=np.float64), height.std(dtype=np.float64)).logpdf(180)
        level = math.log((share[1] + 1) / (share.sum() + 3))
        assert float(model.log_prob(row).detach()) == pytest.approx(normal + level, rel=1e-5)
        assert model.measure == "probability and density"

    @pytest.mark.parametrize(
        ("build", "sentence"),
        [
            (
                lambda: chow_liu(mixed_data(np.random.default_rng(0))),
                "chow-liu is for bits, and column 'height' has real numbers",
            ),
            (lambda: Logits(binary_data().with_condition("labels")), "condition: expected None, as Logits"),
            (lambda: chow_liu(5001), "data: chow-liu is for at most 5,000 columns"),
            (lambda: independent(3, smoothing=0), "smoothing: expected a number above 0"),
            (lambda: independent(3).sample(2, given=1), "given: expected None, as independent is not conditional"),
            (lambda: independent(binary_data().with_condition("labels")), "condition: expected None, as independent"),
            (lambda: vaelab.fit(independent(5), binary_data(), steps=5), "steps: expected none, as independent counts"),
            (
                lambda: vaelab.fit(independent(4), binary_data()),
                "data: expected 4 columns, for which the model was built",
            ),
            (
                lambda: vaelab.evaluate(independent(5), binary_data(), bounds=("iwae",)),
                "bound: expected exact, as indep",
            ),
            (lambda: vaelab.diagnose(independent(5), binary_data()), f"{CODES}, as diagnose"),
            (lambda: vaelab.explore(independent(5), binary_data()), f"{CODES}, as explore"),
            (lambda: vaelab.explore(Independent().fit(BITS), BITS), f"{CODES}, as explore"),
            (lambda: independent(3).log_prob(torch.tensor([[1.0, torch.nan, 0.0]])), "x: .*got NaN"),
        ],
    )
    def test_mistakes_have_one_sentence(self, build: Any, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence) as caught:
            build()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", COUNTED)
class TestEveryModelThatCounts:
    @pytest.mark.parametrize("value", [0, -1, math.nan, "many"])
    def test_a_smoothing_that_is_not_above_zero_is_refused(self, name: str, value: object) -> None:
        with pytest.raises(
            InputError, match=r"smoothing: expected a number above 0.*, as a value that never occurred is"
        ):
            MODELS[name].build(3, smoothing=value)

    def test_a_value_that_never_occurred_is_as_improbable_as_the_rows_and_the_smoothing_say(self, name: str) -> None:
        """Its probability is at least of the order 1 / rows^2, and grows in proportion to a small smoothing."""
        bits = np.c_[BITS[:, :3], np.zeros(60, np.uint8)]
        data = Dataset("constant", {"train": Split(bits), "validation": Split(bits[:20])}, "binary", 1)
        options = {"hidden-chow-liu": {"states": 2}, "bernoulli-mixture": {"components": 2}}.get(name, {})
        found = []
        for smoothing in ({}, {"smoothing": 0.25}, {"smoothing": 1.0}):
            vaelab.fit(model := MODELS[name].build(data, **options, **smoothing), data, device="cpu")
            found.append(float(model().mean[3].detach()))
        assert 0.25 / 60**2 < found[0] < 1 / 60
        assert 3 < found[2] / found[1] < 5

    def test_weights_that_sum_to_little_are_said_in_the_log(self, name: str, caplog: pytest.LogCaptureFixture) -> None:
        for total, expected in ((1 / 2, 1), (1.0, 0)):
            caplog.clear()
            split = Split(BITS, weights=np.full(60, total / 60, np.float32))
            data = Dataset("shares", {"train": split, "validation": Split(BITS[:20])}, "binary", 1)
            options = {"components": 1} if name.endswith("mixture") else {}
            vaelab.fit(MODELS[name].build(data, **options), data, device="cpu")
            found = [record for record in caplog.records if "weights of the 60 training rows" in record.message]
            assert len(found) == expected


def test_densities_without_a_gradient_are_computed_a_few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes, x = chow_liu(4), [], torch.from_numpy(BITS).float()
    whole = model.log_prob(x)
    inner = model.log_density
    monkeypatch.setattr(model, "log_density", lambda p, rows: (sizes.append(len(rows)), inner(p, rows))[1])
    monkeypatch.setattr("vaelab.models.density._ROWS", 25)
    with torch.no_grad():
        assert torch.equal(model.log_prob(x), whole)
        assert model.log_prob(x[:0]).shape == (0,)
    assert model.log_prob(x).requires_grad
    assert sizes == [25, 25, 10, 0, 60]


class Logits(Differentiable):
    """Independent bits that learn by gradients, with a buffer that each step changes."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.logits = nn.Parameter(torch.zeros(self.data_dim))
        self.register_buffer("steps", torch.zeros(()))

    def distribution(self) -> Distribution:
        return Bernoulli(self.logits)

    def estimate(self, x: Tensor) -> vaelab.objectives.Estimate:
        if self.training:
            self.steps += 1
        return super().estimate(x)


class Slow(Counted):
    """Takes three passes, of which the second is the best; a signal comes in the first."""

    stopped_in: int | None = None
    reads: bool = False
    values: tuple[float, ...] = (-3.0, -1.0, -2.0)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.logits = nn.Parameter(torch.zeros(self.data_dim))

    def distribution(self) -> Distribution:
        return Bernoulli(self.logits)

    def learn(self, train: Observations, validation: Observations, seed: int) -> Iterator[Pass]:
        for number, value in enumerate(self.values, 1):
            if number == self.stopped_in:
                signal.raise_signal(signal.SIGINT)
            if self.reads:
                train.bits(slice(0, 1))
            yield Pass(value, value, 3)


class TestTraining:
    def test_a_differentiable_model_learns_in_the_loop_of_the_others(self) -> None:
        data = binary_data()
        model = Logits(data.spec)
        result = vaelab.fit(model, data, steps=150, batch_size=60, learning_rate=0.1, device="cpu")
        exact = independent(data)
        vaelab.fit(exact, data, device="cpu")
        held_out = data.validation.observations()
        assert result.best_bound == pytest.approx(model.mean_log_prob(held_out), abs=1e-5)
        assert model.mean_log_prob(held_out) == pytest.approx(exact.mean_log_prob(held_out), abs=0.05)
        assert {"train/log-likelihood", "lr"} <= set(result.history[0])
        assert not {"train/kl", "train/reconstruction"} & set(result.history[0])
        assert "best validation log-likelihood" in str(result)
        assert float(model.steps) > 0  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"variance: expected false, as Logits has no encoder"):
            vaelab.fit(model, data, steps=5, log_gradient_variance=True)
        with pytest.raises(InputError, match=r"objective: expected none, as Logits maximises log p\(x\) itself"):
            vaelab.fit(model, data, objective=vaelab.objectives.ELBO())

    def test_a_result_below_independent_columns_has_a_warning(self) -> None:
        data = binary_data()
        floor = independent(data)
        assert vaelab.fit(floor, data, device="cpu").warning == ""
        above = floor.mean_log_prob(data.validation.observations()) - data.dim * math.log(0.5)
        assert above > 0.1
        result = vaelab.fit(Logits(data.spec), data, steps=1, learning_rate=1e-6, device="cpu")
        assert result.warning.startswith(f"Logits ends {above:.2f} nats a row below independent columns")
        assert result.warning in str(result)
        counted = Slow(data.spec)
        counted.values = (-9.0,)
        assert "below independent columns" in vaelab.fit(counted, data, device="cpu").warning
        assert vaelab.fit(chow_liu(data), data, device="cpu").warning == ""

    def test_the_log_of_a_model_that_counts(self) -> None:
        data = binary_data()
        rows: list[Any] = []
        result = vaelab.fit(Slow(data.spec), data, device="cpu", callback=rows.append)
        assert (result.steps, result.best_step, result.best_bound, result.stop_reason) == (3, 2, -1.0, "finished")
        assert [row["val/log-likelihood"] for row in rows] == [-3.0, -1.0, -2.0]
        assert all((row["steps"], row["step"]) == (3, place) for place, row in enumerate(rows, 1))

    def test_an_interrupt_ends_it_after_the_pass_or_where_the_pass_reads_the_next_rows(self) -> None:
        data = binary_data()
        for reads, passes in ((False, 2), (True, 1)):
            model = Slow(data.spec)
            model.stopped_in, model.reads = 2, reads
            result = vaelab.fit(model, data, device="cpu")
            assert (result.steps, result.stop_reason, result.signal) == (passes, "interrupted", signal.SIGINT)

    def test_an_interrupt_of_the_first_pass_leaves_nothing_to_keep(self) -> None:
        data = binary_data()
        model = Slow(data.spec)
        model.stopped_in, model.reads = 1, True
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            vaelab.fit(model, data, device="cpu")
        assert signal.getsignal(signal.SIGINT) is before

    def test_a_model_of_the_users_own_is_saved_and_loaded(self, tmp_path: Path) -> None:
        model = Logits(6)
        model.save(tmp_path / "own")
        loaded = vaelab.load(tmp_path / "own")
        assert isinstance(loaded, Logits)
        assert torch.equal(loaded.sample(3, seed=0), model.sample(3, seed=0))


class TestScikitLearn:
    @pytest.mark.parametrize(
        "estimator",
        [Independent(random_state=0), ChowLiuTree(random_state=0), HiddenChowLiuTree(states=2, random_state=0)],
        ids=["floor", "tree", "hidden tree"],
    )
    def test_scores_draws_and_files(self, estimator: Any, tmp_path: Path) -> None:
        found = estimator.fit(BITS)
        exact = found.model_.double().log_prob(torch.from_numpy(BITS).double()).detach().numpy()
        assert found.score_samples(BITS) == pytest.approx(exact, abs=1e-9)
        assert found.score(BITS) == pytest.approx(exact.mean(), abs=1e-9)
        assert found.sample(7).shape == (7, 4)
        gaps = BITS.astype(float)
        gaps[0, 1] = np.nan
        assert not np.isnan(found.impute(gaps)).any()
        assert [record.name for record in found.evaluate(BITS)] == ["exact"]
        assert not hasattr(found, "transform")
        found.save(tmp_path / "kept")
        again = type(estimator).load(tmp_path / "kept")
        assert again.score_samples(BITS) == pytest.approx(exact, abs=1e-5)

    def test_a_row_of_weight_two_is_two_rows(self) -> None:
        weights = np.arange(len(BITS)) % 3
        one = ChowLiuTree().fit(BITS, sample_weight=weights).score_samples(BITS)
        assert one == pytest.approx(ChowLiuTree().fit(BITS.repeat(weights, axis=0)).score_samples(BITS), abs=1e-6)

    def test_scikit_learns_own_checks(self) -> None:
        check_estimator(Independent(), on_skip=None)

    def test_those_with_codes_still_have_transform(self) -> None:
        assert hasattr(GaussianVAE, "transform")
