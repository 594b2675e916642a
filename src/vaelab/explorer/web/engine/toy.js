// A model of a few bits that is small enough to sum over all codes: the stage on which gradient estimators are shown.
// x is a vector of bits with p(x|z) = Bernoulli(W z + b), p(z) is uniform, q(z|x) has one logit for each bit.

import { logFactorial, sigmoid, softplus } from "./numbers.js";

/** Return the model with weights (X * D, row by row), bias (X), x (X), logits of q (D) and a constant in nats that is added to log p(x|z). */
export function toyModel({ weights, bias, x, logits, constant = 0 }) {
  const D = logits.length;
  const X = x.length;
  const p = logits.map(sigmoid);

  const activation = (z, at, pixel) => {
    let a = bias[pixel];
    for (let bit = 0; bit < D; bit += 1) a += weights[pixel * D + bit] * z[at + bit];
    return a;
  };

  /** log p(x|z) of the code that starts at a place of z; its numbers may lie between 0 and 1. */
  const logLikelihood = (z, at = 0) => {
    let total = constant;
    for (let pixel = 0; pixel < X; pixel += 1) {
      const a = activation(z, at, pixel);
      total += x[pixel] * a - softplus(a);
    }
    return total;
  };

  /** The derivatives of log p(x|z) with respect to the numbers of a code. */
  const slope = (z, at = 0) => {
    const slopes = new Float64Array(D);
    for (let pixel = 0; pixel < X; pixel += 1) {
      const error = x[pixel] - sigmoid(activation(z, at, pixel));
      for (let bit = 0; bit < D; bit += 1) slopes[bit] += error * weights[pixel * D + bit];
    }
    return slopes;
  };

  /** log q(z|x) of a code of bits. */
  const logQ = (z, at = 0) => {
    let total = 0;
    for (let bit = 0; bit < D; bit += 1) total -= softplus(z[at + bit] > 0.5 ? -logits[bit] : logits[bit]);
    return total;
  };

  /** log w = log p(x|z) + log p(z) - log q(z|x). */
  const logWeight = (z, at = 0) => logLikelihood(z, at) - D * Math.LN2 - logQ(z, at);

  return { D, X, p, logits, logLikelihood, slope, logQ, logWeight, kl: () => klOf(p), klGradient: () => klGradientOf(p, logits) };
}

function klOf(p) {
  const entropy = (q) => (q > 0 ? -q * Math.log(q) : 0);
  return p.reduce((total, q) => total + Math.LN2 - entropy(q) - entropy(1 - q), 0);
}

function klGradientOf(p, logits) {
  return Float64Array.from(logits, (l, bit) => p[bit] * (1 - p[bit]) * l); // of KL[q || uniform]
}

/** Return all 2^D codes, one after the other. */
export function allCodes(D) {
  const codes = new Float64Array(D * 2 ** D);
  for (let code = 0; code < 2 ** D; code += 1) {
    for (let bit = 0; bit < D; bit += 1) codes[code * D + bit] = (code >> bit) & 1;
  }
  return codes;
}

/** Return the exact gradient of the expected bound of K codes with respect to the logits of q, and the bound itself: `{ gradient, bound }`. */
export function exact(model, objective, K) {
  return objective === "iwae" ? exactIwae(model, K) : exactElbo(model);
}

function exactElbo(model) {
  const { D, p } = model;
  const codes = allCodes(D);
  const gradient = model.klGradient().map((value) => -value);
  let bound = -model.kl();
  for (let at = 0; at < codes.length; at += D) {
    const q = Math.exp(model.logQ(codes, at));
    const f = model.logLikelihood(codes, at);
    bound += q * f;
    for (let bit = 0; bit < D; bit += 1) gradient[bit] += q * f * (codes[at + bit] - p[bit]);
  }
  return { gradient, bound };
}

/** The sum over all tuples of K codes: tuples of the same codes in another order are counted together. */
function exactIwae(model, K) {
  const { D, p } = model;
  const codes = allCodes(D);
  const size = 2 ** D;
  const logQ = Array.from({ length: size }, (_, code) => model.logQ(codes, code * D));
  const weights = Array.from({ length: size }, (_, code) => Math.exp(model.logWeight(codes, code * D)));
  const gradient = new Float64Array(D);
  const total = { gradient, bound: 0 };
  const [present, counts] = [[], []]; // the codes of a tuple, and how often each is in it
  const less = Array.from({ length: K + 1 }, (_, count) => logFactorial(count));
  const add = (logChance, sum) => {
    const chance = Math.exp(logChance);
    const bound = Math.log(sum / K);
    total.bound += chance * bound;
    for (let place = 0; place < present.length; place += 1) {
      const code = present[place];
      const factor = chance * counts[place] * (bound - weights[code] / sum);
      for (let bit = 0; bit < D; bit += 1) gradient[bit] += factor * (codes[code * D + bit] - p[bit]);
    }
  };
  const visit = (code, left, logChance, sum) => {
    if (left === 0) {
      add(logChance, sum);
      return;
    }
    if (code < size - 1) visit(code + 1, left, logChance, sum);
    present.push(code);
    for (let count = code === size - 1 ? left : 1; count <= left; count += 1) {
      counts[present.length - 1] = count;
      visit(code + 1, left - count, logChance + count * logQ[code] - less[count], sum + count * weights[code]);
    }
    present.pop();
  };
  visit(0, K, logFactorial(K), 0);
  return total;
}

/** Return the number b that, as a constant baseline, gives the logit of a bit the smallest variance under the evidence lower bound. */
export function bestBaseline(model, bit) {
  const codes = allCodes(model.D);
  let above = 0;
  let below = 0;
  for (let at = 0; at < codes.length; at += model.D) {
    const weight = Math.exp(model.logQ(codes, at)) * (codes[at + bit] - model.p[bit]) ** 2;
    above += weight * model.logLikelihood(codes, at);
    below += weight;
  }
  return above / below;
}
