"""Room: data. `Dataset.from_arrays`: arrays of every kind become the data set that a file of them is."""

import numpy as np
import pytest
import torch

import vaelab
from vaelab.data import Dataset, load_data
from vaelab.errors import InputError

GENERATOR = np.random.default_rng(0)
BITS = GENERATOR.integers(0, 2, (50, 6)).astype(np.uint8)
GREYS = GENERATOR.integers(0, 256, (50, 6)).astype(np.uint8)
UNIT = GENERATOR.random((50, 6)).astype(np.float32)
LABELS = np.arange(50) % 3
SPLIT = "split 80 % / 10 % / 10 % into train, validation and test, shuffled with seed 777"
TENTH = "there is no validation split: it is a tenth of train, drawn with seed 777"


def same(one, other):
    """Compare all but the name and the notes."""
    assert one.splits.keys() == other.splits.keys()
    assert one.sha256() == other.sha256()
    assert (one.kind, one.scale, one.image_shape, one.columns) == (
        other.kind,
        other.scale,
        other.image_shape,
        other.columns,
    )


@pytest.mark.parametrize("rows", [BITS, BITS.astype(bool), BITS * 1.0, GREYS, UNIT, GREYS.reshape(50, 2, 3)])
def test_arrays_are_the_data_set_of_their_file(rows, tmp_path):
    np.savez(tmp_path / "x.npz", x=rows, y=LABELS)
    of_file = load_data(tmp_path / "x.npz")
    data = Dataset.from_arrays(rows, LABELS)
    same(data, of_file)
    assert data.notes == (SPLIT,)
    parts = {"train": rows[:30], "validation": rows[30:40], "test": rows[40:]}
    np.savez(tmp_path / "parts.npz", **parts, train_labels=LABELS[:30], test_labels=LABELS[40:])
    data = Dataset.from_arrays(rows[:30], LABELS[:30], validation=rows[30:40], test=(rows[40:], LABELS[40:]))
    same(data, load_data(tmp_path / "parts.npz"))
    assert data.notes == ()
    assert data.validation.labels is None
    np.savez(tmp_path / "two.npz", train=parts["train"], test=parts["test"])
    data = Dataset.from_arrays(rows[:30], test=rows[40:])
    same(data, load_data(tmp_path / "two.npz"))
    assert data.notes == (TENTH,)


def test_without_a_test_split_there_is_none():
    data = Dataset.from_arrays(BITS[:40], validation=BITS[40:])
    assert set(data.splits) == {"train", "validation"}
    assert data.notes == ("there is no test split",)
    with pytest.raises(InputError, match="split: expected one of train, validation; got 'test'"):
        data.test  # noqa: B018


@pytest.mark.parametrize("rows", [BITS, GREYS, UNIT])
def test_tensors_and_lists_are_arrays(rows):
    data = Dataset.from_arrays(rows, LABELS, scale=255 if rows is GREYS else None)
    same(Dataset.from_arrays(torch.from_numpy(rows), torch.from_numpy(LABELS)), data)
    listed = Dataset.from_arrays(rows.tolist(), LABELS.tolist(), scale=255 if rows is GREYS else None)
    assert np.allclose(listed.train.x, data.train.x)
    assert np.array_equal(listed.train.labels, data.train.labels)
    assert (listed.kind, listed.scale) == (data.kind, data.scale)


def test_names_shape_scale_and_binarisation_are_taken():
    data = Dataset.from_arrays(BITS * 4, columns=list("abcdef"), scale=4, binarisation="threshold", name="answers")
    assert (data.kind, data.scale, data.columns, data.name) == ("grey", 4, tuple("abcdef"), "answers")
    assert torch.equal(data.test.batch(5), torch.from_numpy(data.test.x / 4).float())
    assert Dataset.from_arrays(BITS, values="unit").kind == "grey"
    images = Dataset.from_arrays(BITS, image_shape=(2, 3))
    assert images.spec.event_shape == images.image_shape == (2, 3)


def test_it_is_trained_on_evaluated_and_sampled():
    data = vaelab.Dataset.from_arrays(BITS, LABELS)
    model = vaelab.gaussian_vae(data.dim, latent_dim=2, hidden_dims=[4])
    vaelab.fit(model, data, steps=2)
    assert vaelab.evaluate(model, data, samples=2)["elbo"].binarisation == "none"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"x": BITS[:9]}, "data: expected at least 10 rows to split into train, validation and test; got 9"),
        ({"x": BITS[:9], "test": BITS}, "data: expected at least 10 rows in train, a tenth .*; got 9"),
        ({"x": "bits.npz"}, "x: expected an array, a tensor, .* or a map-style data set; got str"),
        ({"x": [[0, 1], [1]]}, "x: expected rows of one length; got a list of rows of several"),
        ({"x": BITS[0]}, r"data: expected rows \(N, X\) or images \(N, H, W\); got shape \(6,\)"),
        ({"x": np.array([["a"]])}, "data: expected at least 10 rows to split .*; got 1"),
        ({"x": BITS + 1}, "data: expected bits .*; got two values, 1 and 2; recode them as 0 and 1"),
        ({"x": BITS * 0 + 5, "columns": [*"abcdef"]}, "got one value, 5; recode them as 0 and 1$"),
        ({"x": np.maximum(BITS, [0, 0, 0, 0, 0, 1]) + 1, "columns": [*"abcdef"]}, "1 and 2; recode them as 0 and 1$"),
        ({"x": BITS + 1, "columns": [*"abcdef"]}, "recode them as 0 and 1, or say so with columns={'\\*': 'binary'}$"),
        ({"x": GREYS.astype(int) - 9}, r"put NaN there, .* say so with columns={'\*': {'missing': \[-9\]}}"),
        ({"x": BITS, "test": BITS[:, :5]}, r"data: expected splits whose observations have one shape; got train .*5\)"),
        ({"x": BITS, "test": GREYS}, "data: expected one scale in all parts; train goes up to 1 and test to 255"),
        ({"x": np.full((50, 2), {})}, "x: column '0': expected numbers, booleans or text, one of them; got {}"),
        ({"x": BITS, "columns": "abcdef"}, "columns: expected a list of names, one for each column; got 'abcdef'"),
        ({"x": BITS, "y": [*"ab", *[None] * 48]}, "data: labels of x: expected a label in every row; 48 are missing"),
        ({"x": BITS, "y": LABELS[:9]}, r"data: labels of x: expected integer labels of shape \(50,\); got int64 of"),
        ({"x": BITS, "y": LABELS / 2}, r"labels of x: expected integer labels .*; store y\.astype\(int\)"),
        ({"x": BITS, "test": (BITS, LABELS[:9])}, r"data: labels of test: expected integer labels of shape \(50,\)"),
        ({"x": BITS, "columns": ["a", "b"]}, "columns: expected 6 names, one for each column; got 2"),
        ({"x": BITS, "columns": list("aabcde")}, "expected 6 different names of columns; got 6 names, 5 of them diff"),
        ({"x": BITS, "image_shape": (2, 2)}, r"expected an image_shape \(H, W\) of 6 pixels; got \(2, 2\)"),
        ({"x": BITS.reshape(50, 2, 3), "image_shape": (3, 2)}, r"image_shape: expected \(2, 3\), the shape of the ima"),
        ({"x": BITS, "binarisation": "static"}, "binarisation: expected none .*, as the data 'arrays' are bits"),
        (
            {"x": BITS * 9},
            "; recode them as 0 and 1; if they are grey levels, say which value is white: scale=9 or 255; if they",
        ),
        ({"x": BITS, "values": "grey"}, "got uint8 numbers .*; leave it out for bits, or say which .* with scale=$"),
        ({"x": BITS, "values": "gray"}, "values: expected one of grey, bits, unit, real, count; got 'gray'"),
        (
            {"x": np.column_stack([BITS, np.arange(50) % 10])},
            "column 7 holds .*, leave it out, or give it as y if it ho",
        ),
        (
            {"x": np.column_stack([GREYS, np.arange(50) % 10])},
            "data: column 7 looks like labels: .*; if it holds labels, give it as y; if not, give columns=",
        ),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Dataset.from_arrays(**arguments)


IMAGES = np.arange(50 * 6).reshape(50, 2, 3) % 12


@pytest.mark.parametrize(
    "rows", [IMAGES - 9, IMAGES * 9, IMAGES % 2 * 7, IMAGES % 2 - 1, IMAGES / 7 - 1, IMAGES * 0 + 5]
)
def test_images_get_no_advice_for_tables(rows):
    for images in (rows, rows[..., None]):
        with pytest.raises(InputError) as refusal:
            Dataset.from_arrays(images)
        assert not {"columns", "column", "table", "(N, X)"} & set(str(refusal.value).replace("=", " ").split())


@pytest.mark.parametrize(("what", "options"), [("columns", {"columns": {"*": "real"}}), ("drop", {"drop": True})])
def test_columns_of_images_are_refused(what, options, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    for read in (lambda: Dataset.from_arrays(IMAGES, **options), lambda: load_data(tmp_path / "images.npy", **options)):
        with pytest.raises(
            InputError, match=rf"{what}: expected a table \(N, X\), whose columns .*; got shape \(50, 2, 3\)"
        ):
            read()


@pytest.mark.parametrize("door", ["fit", "evaluate", "load_data"])
def test_an_array_in_place_of_a_data_set_is_refused_with_the_way_out(door):
    model = vaelab.gaussian_vae(BITS.shape[1], latent_dim=2, hidden_dims=[4])
    with pytest.raises(InputError, match=r"data: expected .*; got ndarray; Dataset\.from_arrays\(x\)"):
        vaelab.load_data(BITS) if door == "load_data" else getattr(vaelab, door)(model, BITS)


DOORS = {
    "fit": lambda model, data: vaelab.fit(model, data),
    "evaluate": lambda model, data: vaelab.evaluate(model, data),
    "diagnose": lambda model, data: vaelab.diagnose(model, data),
    "impute": lambda model, data: vaelab.impute(model, BITS.astype(float)),
    "encode": lambda model, data: vaelab.evaluation.encode(model, BITS.astype(float)),
    **{
        name: lambda model, data, estimate=bound.estimate: estimate(model, torch.ones(2, 3))
        for name, bound in vaelab.likelihood.BOUNDS.items()
    },
}


@pytest.mark.parametrize("model", [3, None, "runs/g"])
@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_model_is_refused_in_a_sentence(door, model):
    with pytest.raises(InputError, match=r"model: expected a model, such as gaussian_vae\(data\) or vaelab.load"):
        DOORS[door](model, Dataset.from_arrays(BITS))


@pytest.mark.parametrize("history", [[3], [{"val/bound": 1.0}]])
def test_a_history_of_other_rows_is_refused(history):
    data = Dataset.from_arrays(BITS)
    with pytest.raises(InputError, match=r"history: expected a list of logged rows, .*, each with its step; got"):
        vaelab.diagnose(vaelab.gaussian_vae(data, 2, hidden_dims=[4]), data, history=history)


@pytest.mark.parametrize("estimator", ["rebar", vaelab.estimators.Rebar])
def test_fit_asks_for_an_estimator_that_was_made_for_the_model(estimator):
    data = Dataset.from_arrays(BITS)
    with pytest.raises(
        InputError, match=r"estimator: expected an estimator made for the model, such as Rebar\(model\)"
    ):
        vaelab.fit(vaelab.bernoulli_vae(data, latent_dim=2), data, estimator=estimator)
