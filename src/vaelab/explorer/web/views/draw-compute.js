// What a model makes of one observation: at once with few codes, and in portions with many.

import { weighing } from "../engine/imputation.js";

/** Return what is known at once: `{ mean, spread, q, reconstruction, bounds }`, or `error` and `density` for an auto-encoder. */
export function firstLook(run, input, rng) {
  const { model } = run;
  const { x, given } = input;
  if (!model.hasBound) return pointLook(run, input);
  const codes = weighing(model, x, given, rng);
  codes.add(run.bound_samples);
  const mean = codes.q.mean();
  return {
    mean,
    spread: codes.q.stddev && model.code === "real" ? codes.q.stddev() : null,
    reconstruction: reconstructed(model, model.best(codes.q), x, given),
    bounds: codes.bounds(),
  };
}

function pointLook({ model }, { x, given }) {
  const mean = model.encode(x, 1, given);
  return {
    mean,
    spread: null,
    reconstruction: reconstructed(model, mean, x, given),
    bounds: null,
    error: -model.likelihood(mean, 1, given).logProb(x)[0],
    density: model.prior(1).logProb(mean)[0],
  };
}

/** Return the mean of p(x|z) for one code; of counts with the sum of the row x. */
export function reconstructed(model, code, x, given) {
  const p = model.likelihood(code, 1, given);
  if (p.kind !== "multinomial") return p.mean();
  const total = x.reduce((sum, value) => sum + value, 0);
  return p.shares().map((share) => share * total);
}

/** Weigh `count` codes of an observation in portions: yields what was weighed so far. */
export function* manyCodes(run, { x, given }, rng, count) {
  const codes = weighing(run.model, x, given, rng);
  while (codes.count < count) {
    codes.add(Math.min(5, count - codes.count));
    yield codes;
  }
}

/** Compute the ELBO of rows in portions, each of the values that are observed in x: yields one number for each row. */
export function* boundsOfRows(run, x, rows, rng) {
  const { data } = run;
  for (const row of rows) {
    const other = data.row(row).map((value, place) => (Number.isNaN(x[place]) ? NaN : value));
    const codes = weighing(run.model, other, data.givenRows(1, row), rng.fork(`row ${row}`));
    codes.add(run.bound_samples);
    yield codes.bounds().elbo;
  }
}

/** Return the rows that are observed wherever x is. */
export function comparableRows(data, x) {
  const all = Array.from({ length: data.count }, (_, row) => row);
  if (!data.may_be_missing) return all;
  return all.filter((row) => data.row(row).every((value, place) => !Number.isNaN(value) || Number.isNaN(x[place])));
}
