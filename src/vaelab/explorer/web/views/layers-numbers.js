// A model of layers as conditional distributions: up from x by q, down to x by p, and each layer given its neighbours.

import { sideBySide } from "../engine/numbers.js";

const BATCH = 32; // codes that are decoded at once

/** Return the layers of a model: `up(l, ys, x, y)` is q(y_l|y_l-1), `down(l, ys)` is p(y_l|y_l+1), `child(l, rows, n, y)` is p of what layer l draws. */
export function layersOf(model) {
  const sizes = model.layers.length ? model.layers : [model.dim];
  const last = sizes.length - 1;
  const { belief } = model;
  const posterior = remembered(model);
  return {
    model,
    sizes,
    last,
    bits: belief !== null,
    above: (l, ys, n) => (belief ? belief.fromAbove(l, ys, n) : realAbove(model, last, l, ys, n)),
    /** Whether q of a layer above the first reads the layer below it, and not x. */
    climbs: (x, given) => posterior(x, given).kind === "chain",
    up: (l, ys, x, given) => upwards(posterior(x, given), sizes, l, ys),
    child: (l, rows, n, given) => (belief ? belief.under(l, rows, n, given) : realChild(model, sizes, l, rows, n, given)),
  };
}

function realAbove(model, last, l, ys, n) {
  const { first, steps } = model.prior(n).params;
  return l === last ? first : steps[last - 1 - l](ys[l + 1], n);
}

function realChild(model, sizes, l, rows, n, given) {
  if (l > 0) return model.prior(n).params.steps[sizes.length - 1 - l](rows, n);
  const others = model.dim - sizes[0];
  return model.likelihood(sideBySide([rows, new Float32Array(n * others)], [sizes[0], others], n), n, given);
}

/** q(z|x) of the row that was asked for last, and of what it is given, is kept: mean-field inference of a row takes a while. */
function remembered(model) {
  let [row, y, q] = [null, null, null];
  const same = (a, b) => a.every((value, column) => Object.is(value, b[column]));
  return (x, given) => {
    if (row === null || !same(x, row) || !same(given ?? [], y)) [row, y, q] = [x.slice(), (given ?? []).slice(), model.posterior(x, 1, given)];
    return q;
  };
}

/** q(y_l|y_l-1), or of a posterior q whose layers are independent given x, its part q(y_l|x). */
function upwards(q, sizes, l, ys) {
  if (sizes.length === 1) return q;
  if (q.kind === "chain") return l === 0 ? q.params.first : q.params.steps[l - 1](ys[l - 1], 1);
  const start = sizes.slice(0, l).reduce((sum, size) => sum + size, 0);
  const part = q.mean().subarray(start, start + sizes[l]);
  return { kind: "independent", mean: () => part, mode: () => part.map((p) => (p > 0.5 ? 1 : 0)), sample: (rng) => part.map((p) => (rng.uniform() < p ? 1 : 0)) };
}

/** Return all layers of a row, from x upwards: drawn from q, or the most probable value of each (`rng` null). */
export function climb(net, x, given, rng = null) {
  const ys = [];
  for (let l = 0; l <= net.last; l += 1) {
    const q = net.up(l, ys, x, given);
    ys[l] = rng ? q.sample(rng.fork(`layer ${l}`)) : q.mode();
  }
  return ys;
}

/** Return the layers as they are, and those below layer `from` drawn from p, downwards; from the prior of the top layer if `from` is above it. */
export function descend(net, ys, from, rng) {
  const drawn = ys.slice();
  for (let l = Math.min(net.last, from - 1); l >= 0; l -= 1) drawn[l] = net.above(l, drawn, 1).sample(rng.fork(`layer ${l}`));
  return drawn;
}

/** Return log p(x, y_1, ..., y_L) in nats, without the term of x if it is not observed (null). */
export function logJointOf(net, ys, x, given) {
  let total = x === null ? 0 : net.child(0, ys[0], 1, given).logProb(x)[0];
  for (let l = 0; l <= net.last; l += 1) total += net.above(l, ys, 1).logProb(ys[l])[0];
  return total;
}

/** Yield the logits of p(bit = 1 | all other bits of all layers, x) of layer l as far as they are known, at last all; x is null if it is not observed. */
export function* siteLogits(net, l, ys, x, given) {
  const size = net.sizes[l];
  const logits = Float64Array.from(net.above(l, ys, 1).params.logits);
  const below = l === 0 ? x : ys[l - 1];
  if (below !== null) {
    const [now] = net.child(l, ys[l], 1, given).logProb(below);
    for (let first = 0; first < size; first += BATCH) {
      const count = Math.min(BATCH, size - first);
      const rows = new Float32Array(count * size);
      for (let row = 0; row < count; row += 1) {
        rows.set(ys[l], row * size);
        rows[row * size + first + row] = 1 - ys[l][first + row];
      }
      const flipped = net.child(l, rows, count, given).logProb(below);
      flipped.forEach((other, row) => { logits[first + row] += ys[l][first + row] ? now - other : other - now; });
      yield logits;
    }
  }
  yield logits;
}

/** Return layer l after one Gibbs sweep: each bit in turn is drawn from p(bit | all other bits, x), so that p(y_l | the rest) stays as it is. */
export function gibbsSweep(net, l, ys, x, given, rng) {
  if (l === 0 && x === null) return net.above(0, ys, 1).sample(rng);
  return net.model.belief.resample(l, ys, x, 1, rng, given);
}

/** Return the weights from each unit of the first layer to the logits of bits x, (D_1 * X); null if they are not one linear layer. */
export function weightsOf(net) {
  const isBits = net.bits && !net.model.given && net.child(0, new Float32Array(net.sizes[0]), 1, null).kind === "bernoulli";
  return isBits ? (net.model.belief.fields(0)?.data ?? null) : null;
}

/** Return the mean change of p(x|y_1) when a unit of layer l goes from low to high, over rows of codes and draws of the layers below with the same random numbers. */
export function effectOf({ net, l, unit, codes, givens, low, high, draws, rng, units }) {
  const total = new Float32Array(units.length);
  const count = codes.length;
  codes.forEach((code, row) => {
    const ends = [low, high].map((value) => meanBelow(net, l, unit, code, value, givens[row], draws, rng.fork(`row ${row}`)));
    for (let column = 0; column < total.length; column += 1) total[column] += (ends[1][column] - ends[0][column]) / units[column] / count;
  });
  return total;
}

function meanBelow(net, l, unit, code, value, given, draws, rng) {
  const n = l === 0 ? 1 : draws;
  let rows = new Float32Array(n * net.sizes[l]);
  for (let draw = 0; draw < n; draw += 1) {
    rows.set(code, draw * code.length);
    rows[draw * code.length + unit] = value;
  }
  for (let k = l; k > 0; k -= 1) rows = net.child(k, rows, n, given).sample(rng.fork(`layer ${k}`));
  const means = net.child(0, rows, n, given).mean();
  const size = means.length / n;
  return Float64Array.from({ length: size }, (_, column) => {
    let sum = 0;
    for (let draw = 0; draw < n; draw += 1) sum += means[draw * size + column];
    return sum / n;
  });
}

/** Return KL[q || p] in nats of independent bits with these probabilities. */
export function bitsKL(q, p) {
  const term = (a, b) => (a <= 0 ? 0 : a * Math.log(a / Math.max(b, 1e-12)));
  return q.reduce((sum, a, place) => sum + term(a, p[place]) + term(1 - a, 1 - p[place]), 0);
}
