"""Room: data. Sparse rows: the data set, its batches and its bits are those of the same rows when they are dense."""

import numpy as np
import pytest
import torch
from scipy import sparse

import vaelab
from tests.laws import assert_batches_have_no_history
from vaelab.data import Dataset, Split, describe, order_columns
from vaelab.data.sparse import SparseRows
from vaelab.data.sparse_values import summarise_sparse
from vaelab.data.values import summarise
from vaelab.distributed import Ranks
from vaelab.errors import InputError

GENERATOR = np.random.default_rng(0)
BITS = (GENERATOR.random((60, 12)) < 0.15).astype(np.uint8)
GREYS = (GENERATOR.integers(1, 256, (60, 12)) * BITS).astype(np.uint8)
UNIT = (GENERATOR.random((60, 12)) * BITS).astype(np.float32)
LABELS = np.arange(60) % 3
KINDS = {"bits": BITS, "greys": GREYS, "unit": UNIT}
FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")


def pair(rows, **options):
    """Return the data set of sparse rows and that of the same rows when they are dense."""
    return Dataset.from_arrays(sparse.csr_array(rows), LABELS, **options), Dataset.from_arrays(rows, LABELS, **options)


@pytest.mark.parametrize("rows", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_sparse_matrix_is_the_data_set_of_its_dense_form(rows, form):
    matrix = sparse.csr_array(rows).asformat(form)
    data, dense = Dataset.from_arrays(matrix, LABELS), Dataset.from_arrays(rows, LABELS)
    assert all(isinstance(split.x, SparseRows) for split in data.splits.values())
    assert data.sha256() == dense.sha256()
    assert (data.kind, data.scale, data.notes) == (dense.kind, dense.scale, dense.notes)
    assert data.spec == dense.spec
    for name, split in data.splits.items():
        assert np.array_equal(split.x[:], dense.splits[name].x)
        assert np.array_equal(split.labels, dense.splits[name].labels)
    ignored = {"training rows"}
    assert {k: v for k, v in describe(data).items() if k not in ignored} == {
        k: v for k, v in describe(dense).items() if k not in ignored
    }
    assert "sparse: " in describe(data)["training rows"]


@pytest.mark.parametrize("protocol", ["dynamic", "static", "threshold", "none"])
@pytest.mark.parametrize("rows", KINDS.values(), ids=KINDS)
def test_the_bits_are_those_of_dense_rows(rows, protocol):
    if (rows is BITS) != (protocol == "none"):
        return
    data, dense = pair(rows, binarisation=protocol)
    chosen = torch.tensor([5, 3, 3, 0])
    for name in data.splits:
        assert torch.equal(data.split(name).batch(6), dense.split(name).batch(6))
        one, other = data.split(name).observations(), dense.split(name).observations()
        for subset in (chosen, slice(2, 5), slice(0, 0), slice(None)):
            for ranks in (Ranks(0, 1), Ranks(1, 2)):
                torch.manual_seed(1)
                bits = one.bits(subset, ranks)
                torch.manual_seed(1)
                expected = other.bits(subset, ranks)
                assert torch.equal(bits, expected)
                assert bits.dtype == torch.float32
        assert torch.equal(one.mean(), other.mean())
        assert torch.equal(one.first(4).bits(slice(None)), one.bits(slice(0, 4))) or protocol == "dynamic"
    assert_batches_have_no_history(data.train.observations(), 8)


def test_a_training_has_the_weights_of_one_on_dense_rows():
    results = []
    for data in pair(BITS):
        model = vaelab.bernoulli_vae(data, latent_dim=3, hidden_dims=[5], seed=0)
        vaelab.fit(model, data, steps=6, batch_size=20)
        numbers = vaelab.evaluate(model, data, samples=3)
        codes = vaelab.evaluation.encode(model, data.test.observations())
        results.append((model.state_dict(), numbers.values, torch.from_numpy(codes["codes"])))
    (weights, values, codes), (dense_weights, dense_values, dense_codes) = results
    assert all(torch.equal(weights[name], dense_weights[name]) for name in dense_weights)
    assert all(torch.equal(values[name], dense_values[name]) for name in dense_values)
    assert torch.equal(codes, dense_codes)


def test_columns_are_reordered_and_given():
    names = [f"c{place}" for place in range(12)]
    data, dense = pair(UNIT, columns=names)
    order = names[::-1]
    assert order_columns(data, order).sha256() == order_columns(dense, order).sha256()
    given, expected = data.with_condition(["c3", "c1"]), dense.with_condition(["c3", "c1"])
    assert torch.equal(given.test.batch(4), expected.test.batch(4))
    assert torch.equal(data.with_condition("labels").test.batch(4), dense.with_condition("labels").test.batch(4))
    assert given.sha256() == expected.sha256()


def test_splits_are_given_sparse_or_dense():
    data = Dataset.from_arrays(sparse.csr_array(GREYS[:40]), test=GREYS[40:])
    dense = Dataset.from_arrays(GREYS[:40], test=GREYS[40:])
    assert data.sha256() == dense.sha256()
    assert data.scale == dense.scale == 255
    built = Dataset("mine", {"train": Split(sparse.csr_array(BITS)), "test": Split(BITS)}, "binary", 1)
    assert built.sha256() == Dataset("mine", {"train": Split(BITS), "test": Split(BITS)}, "binary", 1).sha256()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("values", [[0], [1], [0, 1], [0, 200], [0, 3], [2, 5], [-1, 1], [0, 0.5]])
def test_the_summary_is_that_of_dense_rows(values, dtype):
    rows = GENERATOR.choice(np.array(values), (9, 4)).astype(dtype)
    ours, theirs = summarise_sparse("x", SparseRows(sparse.csr_array(rows))), summarise("x", rows)
    for name in ("low", "high", "whole", "byte", "two"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


def test_entries_stored_twice_are_added_and_nothing_of_the_user_is_changed():
    values, places = np.array([200, 100, 0], np.uint8), (np.array([0, 0, 1]), np.array([1, 1, 0]))
    matrix = sparse.coo_array((values, places), shape=(2, 3))
    rows = SparseRows(matrix)
    assert rows[:].tolist() == [[0, 300, 0], [0, 0, 0]]
    assert len(rows.values) == 1
    given = sparse.csr_array(BITS)
    given.data.flags.writeable = False
    given.indices = given.indices[::-1].copy()  # unsorted
    before = given.copy()
    expected = given.toarray()
    swapped = sparse.csr_array((given.data.astype(">f8"), given.indices, given.indptr), shape=given.shape)
    for matrix in (given, swapped):
        assert np.array_equal(SparseRows(matrix)[:], expected)
    assert np.array_equal(given.indices, before.indices)


def test_unstored_entries_may_be_missing():
    rows = SparseRows(sparse.coo_array(([1.0, 0.0, 1.0], ([0, 1, 1], [2, 0, 1])), shape=(3, 3)), fill=np.nan)
    nan = np.nan
    assert np.array_equal(rows[:], [[nan, nan, 1], [0, 1, nan], [nan, nan, nan]], equal_nan=True)
    assert np.array_equal(rows.columns([2, 0])[:], rows[:][:, [2, 0]], equal_nan=True)
    assert np.array_equal(rows.take(np.array([1, 0]))[:], rows[:][[1, 0]], equal_nan=True)
    assert rows.means().tolist() == [0, 1, 1]
    weighted, count = rows.sums(np.array([1.0, 3.0, 1.0]))
    assert (weighted.tolist(), count.tolist()) == ([0, 3, 1], [3, 3, 1])


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (UNIT * 3, "data: expected bits .*; got real numbers in"),
        (UNIT - 2 * BITS, "bring them into"),
        (np.where(BITS == 1, np.inf, 0), "data: expected finite numbers; got inf in row 0, column 2"),
        (UNIT.astype(complex), "x: expected bits .*; got dtype complex128"),
        (BITS[:0], r"got shape \(0, 12\)"),
        (BITS[:9], "data: expected at least 10 rows to split"),
        (np.column_stack([GREYS, LABELS]), "column 13 looks like labels"),
    ],
)
def test_what_dense_rows_may_not_hold_sparse_rows_may_not(rows, sentence):
    for given in (rows, sparse.csr_array(rows)):
        with pytest.raises(InputError, match=sentence):
            Dataset.from_arrays(given)


def missing_in(rows, share):
    """Return rows of which a share is missing, and the same as sparse rows that store what is missing."""
    dense = np.where(GENERATOR.random(rows.shape) < share, np.nan, rows)
    entries = np.isnan(dense) | (dense != 0)
    return dense, sparse.csr_array((dense[entries], np.nonzero(entries)), shape=dense.shape)


@pytest.mark.parametrize("weights", [None, np.arange(60) % 3])
@pytest.mark.parametrize("protocol", ["dynamic", "static", "threshold", "none"])
@pytest.mark.parametrize("rows", KINDS.values(), ids=KINDS)
def test_missing_values_are_those_of_dense_rows(rows, protocol, weights):
    if (rows is BITS) != (protocol == "none"):
        return
    dense, matrix = missing_in(rows, 0.4)
    mask = (~np.isnan(dense)).astype(np.uint8)
    options = {"binarisation": protocol, "scale": 255 if rows is GREYS else None, "sample_weight": weights}
    expected = Dataset.from_arrays(dense, LABELS, **options)
    assert expected.has_missing
    for data in (
        Dataset.from_arrays(matrix, LABELS, **options),
        Dataset.from_arrays(rows, LABELS, mask=mask, **options),
        Dataset.from_arrays(rows, LABELS, mask=sparse.csr_array(mask), **options),
        Dataset.from_arrays(sparse.csr_array(rows), LABELS, mask=mask.astype(bool), **options),
        Dataset.from_arrays(sparse.csr_array(rows), LABELS, mask=sparse.coo_array(mask), **options),
    ):
        assert data.sha256() == expected.sha256()
        assert data.has_missing
        torch.testing.assert_close(data.spec.mean, expected.spec.mean)
        torch.testing.assert_close(data.train.deviation(), expected.train.deviation())
        for name in data.splits:
            torch.manual_seed(1)
            bits = data.split(name).observations().bits(slice(0, 5))
            torch.manual_seed(1)
            torch.testing.assert_close(
                bits, expected.split(name).observations().bits(slice(0, 5)), equal_nan=True, rtol=0, atol=0
            )
        assert describe(data)["missing"] == describe(expected)["missing"]


def test_a_training_with_missing_values_has_the_weights_of_one_on_dense_rows():
    dense, _ = missing_in(BITS, 0.3)
    weights = []
    for data in (Dataset.from_arrays(BITS, mask=sparse.csr_array(~np.isnan(dense))), Dataset.from_arrays(dense)):
        model = vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[4], seed=0)
        vaelab.fit(model, data, steps=4, batch_size=20)
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (BITS[:, :3], r"mask: expected the shape of x, \(60, 12\); got \(60, 3\)"),
        (BITS * 2, "mask: expected 1 or True where a value is observed, and 0 or False where not; got others"),
        (sparse.csr_array(BITS * 2), "mask: expected 1 or True"),
        (np.zeros_like(BITS), "data: expected some values that are not missing"),
    ],
)
def test_what_is_no_mask_is_refused(mask, sentence):
    for rows in (BITS, sparse.csr_array(BITS)):
        with pytest.raises(InputError, match=sentence):
            Dataset.from_arrays(rows, mask=mask)


@pytest.mark.parametrize("values", ["real", "count"])
def test_numbers_of_other_kinds_stay_sparse_too(values):
    rows = GENERATOR.poisson(0.3, (60, 12)) * (300 if values == "count" else -1.5) + 0  # 0 for -0
    data, dense = pair(rows, values=values)
    assert data.kind == dense.kind == values
    assert data.sha256() == dense.sha256()
    assert data.spec == dense.spec
    torch.testing.assert_close(data.spec.deviation, dense.spec.deviation)
    assert torch.equal(data.test.batch(6), dense.test.batch(6))


def test_a_model_gets_dense_batches_only():
    model = vaelab.gaussian_vae(12, latent_dim=2)
    with pytest.raises(InputError, match=r"x: expected .*; got csr_array; take x\.toarray\(\) of some rows"):
        model.encode(sparse.csr_array(BITS))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_column_of_real_numbers_has_deviation_one(weighted):
    generator = np.random.default_rng(0)
    for value in (0.1, 0.3, 12345.678):
        x = np.full((500, 2), value, np.float32)
        x[:, 1] = generator.normal(size=500)
        weights = generator.random(500).astype(np.float32) if weighted else None
        for rows in (x, sparse.csr_array(x)):
            split = Dataset("rows", {"train": Split(rows, weights=weights)}, "real", 1).train
            first, second = split.deviation().tolist()
            assert first == 1
            assert second == pytest.approx(np.sqrt(np.cov(x[:, 1], aweights=weights, bias=True)), rel=1e-5)
