// A model of the page: p(z), p(x|z) and q(z|x) as distributions, and what is computed from them. Rows x have the X
// columns; what a conditional model is given, y, is separate: (n * Y), or one row for all, or null.
import { belief } from "./belief.js";
import { divergence } from "./distributions.js";
import { asFloats, columnsOf, logSumExp, sideBySide } from "./numbers.js";
import { layersOf, likelihoodOf, posteriorOf, priorOf } from "./parts.js";
import { random } from "./random.js";

/** The model that MODEL of the page's JSON describes; `get` opens its arrays. */
export function model(description, get) {
  const { code, dim, layers, given: givenSize } = description;
  const prior = priorOf(description.prior, get);
  const bottom = likelihoodOf(description.likelihood, get);
  const posteriorOfRows = posteriorOf(description.posterior, get, description);

  const withGiven = (rows, n, width, y) => {
    if (!givenSize) {
      return asFloats(rows);
    }
    return sideBySide([asFloats(rows), repeated(y, n, givenSize)], [width, givenSize], n);
  };
  const columns = description.likelihood.size;
  const posterior = (x, n, y = null) => posteriorOfRows(withGiven(x, n, columns, y), n);
  const { reads } = description.likelihood;
  const likelihood = (z, n, y = null) => {
    const read = reads ? columnsOf(asFloats(z), n, dim, 0, reads) : z;
    return bottom.build(bottom.run(withGiven(read, n, reads ?? dim, y), n), n);
  };
  const best = (q) => {
    const mean = q.mean();
    return code === "bits" ? mean.map((p) => (p > 0.5 ? 1 : 0)) : mean;
  };
  const self = {
    code, dim, layers, columns, prior, posterior, likelihood, best,
    name: description.name,
    given: givenSize,
    hasBound: code !== "point",
    exPost: description.ex_post, // whether the prior was fitted to the codes after the training
    encode: (x, n, y = null) => posterior(x, n, y).mean(),
    decode: (z, n, y = null) => likelihood(z, n, y).mean(),
    score: (x, n, z, q, y = null) => score(self, x, n, z, q, y),
    bound: (x, n, options = {}) => bound(self, x, n, options),
    sample: (options) => sample(self, options),
    withGiven,
    belief: null,
  };
  self.belief = code === "bits" ? belief(self, layersOf(description, bottom, get)) : null;
  return self;
}

/** log p(x|z), log p(z) and log q(z|x) of one code for each row, Float64Array(n) each. */
function score(self, x, n, z, q, y) {
  return {
    likelihood: self.likelihood(z, n, y).logProb(x),
    prior: self.prior(n).logProb(z),
    posterior: q.logProb(z),
  };
}

/**
 * Bounds on log p(x) of each row, in nats, from K = samples codes: {elbo, iwae, reconstruction, kl}, each a
 * Float64Array(n). The KL of the evidence lower bound is that of the distributions where it has a formula, else that of
 * the codes. `codes` (K * n * D) are used instead of draws.
 */
function bound(self, x, n, { samples = 1, rng = random(0), given = null, codes = null } = {}) {
  if (!self.hasBound) {
    throw new Error("An auto-encoder without noise has no likelihood of x, and so no bound.");
  }
  const q = self.posterior(x, n, given);
  const exact = divergence(q, self.prior(n));
  const logWeights = new Float64Array(samples * n); // (K, n)
  const reconstruction = new Float64Array(n);
  const kl = exact ?? new Float64Array(n);
  for (let k = 0; k < samples; k += 1) {
    const z = codes ? codes.subarray(k * n * self.dim, (k + 1) * n * self.dim) : q.sample(rng);
    const terms = self.score(x, n, z, q, given);
    for (let r = 0; r < n; r += 1) {
      const difference = terms.posterior[r] - terms.prior[r];
      reconstruction[r] += terms.likelihood[r] / samples;
      kl[r] += exact ? 0 : difference / samples;
      logWeights[k * n + r] = terms.likelihood[r] - difference;
    }
  }
  return {
    elbo: reconstruction.map((value, r) => value - kl[r]),
    iwae: reconstruction.map((_, r) => logSumExp(logWeights, r, samples, n) - Math.log(samples)),
    reconstruction,
    kl,
  };
}

/** Draws of the model {x, z}: z of the prior, then p(x|z)'s draw, mean or mode (`kind`). The seed decides the codes. */
function sample(self, { n, kind = "draw", temperature = 1, seed = 0, given = null }) {
  const rng = random(seed);
  const z = self.prior(n).sample(rng.fork("codes"), temperature);
  const p = self.likelihood(z, n, given);
  const x = kind === "draw" ? p.sample(rng.fork("observations"), temperature) : p[kind]();
  return { x, z };
}

/** Rows (n, width) from n rows or one for all. */
function repeated(rows, n, width) {
  if (rows === null || (rows.length !== width && rows.length !== n * width)) {
    throw new Error(`given: expected ${width} numbers for each row; got ${rows === null ? "none" : rows.length}`);
  }
  if (rows.length === n * width) {
    return asFloats(rows);
  }
  return Float32Array.from({ length: n * width }, (_, i) => rows[i % width]);
}
