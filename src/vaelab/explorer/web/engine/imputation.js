// K codes of one observation with their weights: bounds on log p(x), and the missing values given the observed ones.
import { divergence } from "./distributions.js";
import { logSumExp } from "./numbers.js";

/** Codes z_k ~ q(z|x) of one observation x (X), in which NaN is a missing value; `given` is y (Y) or null.
 * Codes are added in portions, and what is known of them can be asked for at any time:
 * bounds() -> {elbo, iwae, reconstruction, kl, error} in nats, effective() samples, mean() (X), draws(n, rng) (n * X). */
export function weighing(model, x, given, rng) {
  const q = model.posterior(x, 1, given);
  const exact = divergence(q, model.prior(1));
  const codes = [];
  const logWeights = [];
  const logLikelihoods = [];
  const means = x.some(Number.isNaN) ? weightedMean(x.length) : null;

  const add = (count) => {
    const z = drawn(q, count, rng);
    const p = model.likelihood(z, count, given);
    const decoded = means && givenObserved(p, x).mean();
    const likelihoods = p.logProb(x);
    const priors = model.prior(count).logProb(z);
    for (let k = 0; k < count; k += 1) {
      const code = z.subarray(k * model.dim, (k + 1) * model.dim);
      const logWeight = likelihoods[k] + priors[k] - q.logProb(code)[0];
      codes.push(code);
      logWeights.push(logWeight);
      logLikelihoods.push(likelihoods[k]);
      means?.include(logWeight, decoded.subarray(k * x.length, (k + 1) * x.length));
    }
  };
  const shares = () => {
    const total = logSumExp(logWeights);
    return logWeights.map((value) => Math.exp(value - total));
  };
  return {
    q,
    add,
    get count() {
      return codes.length;
    },
    bounds: () => boundsOf(logLikelihoods, logWeights, exact === null ? null : exact[0]),
    effective: () => 1 / shares().reduce((total, share) => total + share * share, 0),
    mean: () => {
      const found = means?.value();
      return x.map((value, i) => (Number.isNaN(value) ? found[i] : value));
    },
    draws: (n, noise) => {
      const picked = shares();
      const chosen = Array.from({ length: n }, () => codes[pick(picked, noise.uniform())]);
      const z = new Float32Array(n * model.dim);
      chosen.forEach((code, row) => z.set(code, row * model.dim));
      const rows = givenObserved(model.likelihood(z, n, given), x).sample(noise);
      return rows.map((value, i) => (Number.isNaN(x[i % x.length]) ? value : x[i % x.length]));
    },
  };
}

/** p(x|z, what is observed of one row x): p(x|z) where the columns are independent given z. */
function givenObserved(p, x) {
  return p.given ? p.given(x) : p;
}

/** The mean of vectors with weights that are known by their logarithms, as they come; of any size, without overflow. */
function weightedMean(size) {
  const sum = new Float64Array(size); // of the weights over e^largest, times the vectors
  let [largest, total] = [-Infinity, 0];
  return {
    include(logWeight, vector) {
      if (logWeight > largest) {
        const shrink = Math.exp(largest - logWeight);
        sum.forEach((value, i) => {
          sum[i] = value * shrink;
        });
        [largest, total] = [logWeight, total * shrink];
      }
      const weight = Math.exp(logWeight - largest);
      total += weight;
      vector.forEach((value, i) => {
        sum[i] += weight * value;
      });
    },
    value: () => sum.map((value) => value / total),
  };
}

function drawn(q, count, rng) {
  const rows = Array.from({ length: count }, () => q.sample(rng));
  const z = new Float32Array(count * rows[0].length);
  rows.forEach((row, k) => z.set(row, k * row.length));
  return z;
}

function pick(shares, uniform) {
  let left = uniform;
  for (let k = 0; k < shares.length; k += 1) {
    left -= shares[k];
    if (left < 0) return k;
  }
  return shares.length - 1;
}

/** Bounds from the log-weights of K codes; the KL of the codes where there is no formula; `error` is that of the ELBO. */
function boundsOf(logLikelihoods, logWeights, exact) {
  const count = logWeights.length;
  const mean = (values) => values.reduce((total, value) => total + value, 0) / count;
  const terms = exact === null ? logWeights : logLikelihoods.map((value) => value - exact);
  const [elbo, reconstruction] = [mean(terms), mean(logLikelihoods)];
  const variance = terms.reduce((total, value) => total + (value - elbo) ** 2, 0) / Math.max(1, count - 1);
  return {
    elbo,
    reconstruction,
    kl: reconstruction - elbo,
    error: Math.sqrt(variance / count),
    iwae: logSumExp(logWeights) - Math.log(count),
  };
}

/** Why values of x cannot be hidden from this model; null if they can. */
export function whyComplete(model) {
  if (!model.hasBound) {
    return "An auto-encoder cannot fill in hidden values: it has no likelihood of x, by which codes could be weighed.";
  }
  const p = model.likelihood(new Float32Array(model.dim), 1, model.given ? new Float32Array(model.given) : null);
  const kinds = [p, ...(p.params.parts ?? [])].map((part) => part.kind);
  return kinds.includes("multinomial")
    ? "No value can be missing for this model: its likelihood is multinomial, and has no density of some of the columns alone."
    : null;
}
