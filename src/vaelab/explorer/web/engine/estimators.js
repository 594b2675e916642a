// Gradient estimators on the toy model, as vaelab.estimators has them: `draw` returns all that is random, `gradient`
// is a function of it, so that a test can hand in what Python drew. Gradients are with respect to the logits of q.

import { logSumExp, sigmoid, softplus } from "./numbers.js";

const SMALLEST = 2 ** -54; // a uniform number is at least this, so that its logit is finite

/** Return n uniform numbers in (0, 1). */
function uniforms(rng, n) {
  return Float64Array.from({ length: n }, () => Math.max(SMALLEST, rng.uniform()));
}

function logit(u) {
  return Math.log(u) - Math.log1p(-u);
}

/** K codes of bits, each from one uniform number. */
function drawCodes(model, K, rng) {
  const codes = new Float64Array(K * model.D);
  for (let place = 0; place < codes.length; place += 1) codes[place] = rng.uniform() < model.p[place % model.D] ? 1 : 0;
  return codes;
}

/** Antithetic pairs from uniform numbers u: the codes 1(u > 1 - p), then their partners 1(u < p). */
function pairsOf(model, u) {
  const codes = new Float64Array(2 * u.length);
  u.forEach((value, place) => {
    const p = model.p[place % model.D];
    codes[place] = value > 1 - p ? 1 : 0;
    codes[u.length + place] = value < p ? 1 : 0;
  });
  return codes;
}

/** The values that an objective combines: log p(x|z) where the KL is in closed form, log w under the importance-weighted bound. */
function valuesOf(model, objective, codes) {
  const value = objective === "iwae" ? model.logWeight : model.logLikelihood;
  return Float64Array.from({ length: codes.length / model.D }, (_, k) => value(codes, k * model.D));
}

/** The objective L(v): the mean, or the log of the mean of e^v. */
function combine(objective, values) {
  if (objective === "iwae") return logSumExp(values) - Math.log(values.length);
  return values.reduce((total, value) => total + value, 0) / values.length;
}

/** L(v) with the k-th value replaced. */
function withReplaced(objective, values, k, value) {
  const replaced = Float64Array.from(values);
  replaced[k] = value;
  return combine(objective, replaced);
}

/** The gradient of the objective itself, with the codes held constant. */
function direct(model, objective, codes, values) {
  if (objective !== "iwae") return model.klGradient().map((value) => -value);
  const total = logSumExp(values);
  return scored(model, codes, values.map((value) => -Math.exp(value - total)), new Float64Array(model.D));
}

/** Add sum_k s_k grad log q(z_k|x) to a gradient. */
function scored(model, codes, signals, gradient) {
  signals.forEach((signal, k) => {
    for (let bit = 0; bit < model.D; bit += 1) gradient[bit] += signal * (codes[k * model.D + bit] - model.p[bit]);
  });
  return gradient;
}

/** The score function, with signals from the values of the codes. */
function scoreFunction(signals) {
  return (model, codes, settings, memory) => {
    const values = valuesOf(model, settings.objective, codes);
    return scored(model, codes, signals(values, settings, memory), direct(model, settings.objective, codes, values));
  };
}

function signalsAbove(values, objective, baseline) {
  if (objective !== "iwae") return values.map((value) => (value - baseline) / values.length);
  const bound = combine(objective, values);
  return values.map(() => bound - baseline);
}

function underRunningAverage(values, { objective }, memory) {
  const baseline = memory.total / Math.max(1e-12, memory.weight);
  memory.total += 0.1 * (combine(objective, values) - memory.total); // the average of the past changes after its use
  memory.weight += 0.1 * (1 - memory.weight);
  return signalsAbove(values, objective, baseline);
}

function leaveOneOut(values, { objective }) {
  const sum = values.reduce((total, value) => total + value, 0);
  const bound = combine(objective, values);
  return values.map((value, k) => bound - withReplaced(objective, values, k, (sum - value) / (values.length - 1)));
}

function arm(model, u) {
  const { D } = model;
  const pairs = pairsOf(model, u);
  const gradient = model.klGradient().map((value) => -value);
  for (let at = 0; at < u.length; at += D) {
    const difference = (model.logLikelihood(pairs, at) - model.logLikelihood(pairs, u.length + at)) / (u.length / D);
    for (let bit = 0; bit < D; bit += 1) gradient[bit] += difference * (u[at + bit] - 0.5);
  }
  return gradient;
}

function disarm(model, drawn, { objective }) {
  const { D } = model;
  const half = drawn.length / 2;
  const codes = drawn.subarray(0, half);
  const partners = drawn.subarray(half);
  const first = valuesOf(model, objective, codes);
  const second = valuesOf(model, objective, partners);
  const gradient = direct(model, objective, codes, first);
  first.forEach((value, k) => {
    const difference = objective === "iwae" ? swapped(first, second, k) : (value - second[k]) / first.length;
    for (let bit = 0; bit < D; bit += 1) {
      const apart = codes[k * D + bit] - partners[k * D + bit];
      gradient[bit] += 0.5 * difference * apart * sigmoid(Math.abs(model.logits[bit]));
    }
  });
  return gradient;
}

/** The difference that a code and its partner make to the importance-weighted bound, among the codes and among the partners. */
function swapped(first, second, k) {
  const among = combine("iwae", first) - withReplaced("iwae", first, k, second[k]);
  return (among + withReplaced("iwae", second, k, first[k]) - combine("iwae", second)) / 2;
}

function rebar(model, u, { temperature }) {
  const { D } = model;
  const K = u.length / D;
  const t = temperature;
  const gradient = model.klGradient().map((value) => -value);
  const relaxed = new Float64Array(D);
  const bits = new Float64Array(D);
  for (let at = 0; at < u.length; at += D) {
    const z = model.logits.map((l, bit) => l + logit(u[at + bit]));
    z.forEach((value, bit) => {
      bits[bit] = value > 0 ? 1 : 0;
      relaxed[bit] = sigmoid((value + (model.logits[bit] * t * t) / (t + 1)) / t);
    });
    const signal = model.logLikelihood(bits) - model.logLikelihood(relaxed);
    const slopes = model.slope(relaxed);
    for (let bit = 0; bit < D; bit += 1) {
      const tied = -Math.expm1(-Math.abs(z[bit])) * sigmoid(Math.sign(z[bit]) * model.logits[bit]);
      const path = ((slopes[bit] * relaxed[bit] * (1 - relaxed[bit])) / t) * (1 - tied);
      gradient[bit] += (signal * (bits[bit] - model.p[bit]) + path) / K;
    }
  }
  return gradient;
}

function concrete(model, u, { objective, temperature }) {
  const { D } = model;
  const K = u.length / D;
  const each = Array.from({ length: K }, (_, k) => relaxedWeight(model, u.subarray(k * D, (k + 1) * D), temperature));
  const total = logSumExp(each.map(({ value }) => value));
  const gradient = new Float64Array(D);
  for (const { value, slopes } of each) {
    const share = objective === "iwae" ? Math.exp(value - total) : 1 / K;
    for (let bit = 0; bit < D; bit += 1) gradient[bit] += share * slopes[bit];
  }
  return gradient;
}

/** The log-weight of a relaxed code, and its gradient through the code. */
function relaxedWeight(model, u, t) {
  const noise = u.map(logit);
  const y = noise.map((value, bit) => (value + model.logits[bit]) / t);
  const z = y.map(sigmoid);
  let value = model.logLikelihood(z);
  const slopes = model.slope(z);
  y.forEach((code, bit) => {
    value += logDensity(t * code, t) - logDensity(noise[bit], t);
    const ofPrior = t * (2 * sigmoid(-t * code) - 1); // the prior has the temperature of the posterior
    slopes[bit] = (slopes[bit] * z[bit] * (1 - z[bit]) + ofPrior) / t;
  });
  return { value, slopes };
}

function logDensity(a, t) {
  return Math.log(t) - a - 2 * softplus(-a);
}

function straightThrough(model, codes) {
  const { D, p } = model;
  const gradient = model.klGradient().map((value) => -value);
  for (let at = 0; at < codes.length; at += D) {
    const slopes = model.slope(codes, at);
    for (let bit = 0; bit < D; bit += 1) gradient[bit] += (slopes[bit] * p[bit] * (1 - p[bit])) / (codes.length / D);
  }
  return gradient;
}

function half(model, codes) {
  const { D, p } = model;
  const gradient = model.klGradient().map((value) => -value);
  for (let at = 0; at < codes.length; at += D) {
    const slopes = model.slope(codes, at);
    for (let bit = 0; bit < D; bit += 1) {
      gradient[bit] += (slopes[bit] * (codes[at + bit] ? 1 - p[bit] : p[bit])) / 2 / (codes.length / D);
    }
  }
  return gradient;
}

/** K codes, then the same with one bit of each flipped. */
function drawFlips(model, K, rng) {
  const { D } = model;
  const codes = drawCodes(model, K, rng);
  const flipped = Float64Array.from(codes);
  for (let at = 0; at < codes.length; at += D) {
    const bit = at + Math.floor(rng.uniform() * D);
    flipped[bit] = 1 - codes[bit];
  }
  return Float64Array.from([...codes, ...flipped]);
}

function bitflip(model, drawn) {
  const { D, p } = model;
  const half = drawn.length / 2;
  const gradient = model.klGradient().map((value) => -value);
  for (let at = 0; at < half; at += D) {
    const difference = model.logLikelihood(drawn, at) - model.logLikelihood(drawn, half + at);
    for (let bit = 0; bit < D; bit += 1) {
      const apart = drawn[at + bit] - drawn[half + at + bit];
      gradient[bit] += (D * p[bit] * (1 - p[bit]) * difference * apart) / (half / D);
    }
  }
  return gradient;
}

function gumbelStraightThrough(model, u, { temperature }) {
  const { D } = model;
  const z = u.map((value, place) => model.logits[place % D] + logit(value));
  const codes = z.map((value) => (value > 0 ? 1 : 0));
  const gradient = model.klGradient().map((value) => -value);
  for (let at = 0; at < codes.length; at += D) {
    const slopes = model.slope(codes, at);
    for (let bit = 0; bit < D; bit += 1) {
      const relaxed = sigmoid(z[at + bit] / temperature);
      gradient[bit] += (slopes[bit] * relaxed * (1 - relaxed)) / temperature / (codes.length / D);
    }
  }
  return gradient;
}

const BOTH = ["elbo", "iwae"];
const noise = (model, K, rng) => uniforms(rng, K * model.D);
const halfNoise = (model, K, rng) => uniforms(rng, (K / 2) * model.D);
const pairs = (model, K, rng, { objective }) => pairsOf(model, uniforms(rng, (objective === "iwae" ? K : K / 2) * model.D));

/** The estimators: name (that of vaelab, and of the baseline), objectives, whether biased, codes decoded in an estimate, draw, gradient. */
export const ESTIMATORS = [
  { name: "score-function, none", objectives: BOTH, decodes: (K) => K, draw: drawCodes, gradient: scoreFunction((values, { objective }) => signalsAbove(values, objective, 0)) },
  { name: "score-function, constant", objectives: BOTH, decodes: (K) => K, draw: drawCodes, gradient: scoreFunction((values, { objective, baseline }) => signalsAbove(values, objective, baseline)) },
  { name: "score-function, running-average", objectives: BOTH, decodes: (K) => K, draw: drawCodes, gradient: scoreFunction(underRunningAverage) },
  { name: "score-function, leave-one-out", objectives: BOTH, decodes: (K) => K, draw: drawCodes, gradient: scoreFunction(leaveOneOut) },
  { name: "arm", objectives: ["elbo"], decodes: (K) => K, draw: halfNoise, gradient: arm },
  { name: "disarm", objectives: BOTH, decodes: (K, objective) => (objective === "iwae" ? 2 * K : K), draw: pairs, gradient: disarm },
  { name: "bitflip", objectives: ["elbo"], decodes: (K) => 2 * K, draw: drawFlips, gradient: bitflip },
  { name: "rebar", objectives: ["elbo"], decodes: (K) => 2 * K, draw: noise, gradient: rebar },
  { name: "concrete", biased: true, objectives: BOTH, decodes: (K) => 2 * K, draw: noise, gradient: concrete },
  { name: "straight-through", biased: true, objectives: ["elbo"], decodes: (K) => K, draw: drawCodes, gradient: straightThrough },
  { name: "half", biased: true, objectives: ["elbo"], decodes: (K) => K, draw: drawCodes, gradient: half },
  { name: "gumbel-straight-through", biased: true, objectives: ["elbo"], decodes: (K) => K, draw: noise, gradient: gumbelStraightThrough },
];

/** Return a function that makes one estimate of the gradient after the other; a running average starts empty. */
export function sampler(estimator, model, settings, rng) {
  const memory = { total: 0, weight: 0 };
  return () => estimator.gradient(model, estimator.draw(model, settings.samples, rng, settings), settings, memory);
}

/** Return a tally of numbers: count, mean, variance and standard errors, without keeping the numbers (Welford, 1962). */
export function openTally() {
  let [n, mean, m2, m3, m4] = [0, 0, 0, 0, 0];
  return {
    add(value) {
      const before = n;
      n += 1;
      const delta = value - mean;
      const step = delta / n;
      const term = delta * step * before;
      m4 += term * step * step * (n * n - 3 * n + 3) + 6 * step * step * m2 - 4 * step * m3;
      m3 += term * step * (n - 2) - 3 * step * m2;
      m2 += term;
      mean += step;
    },
    get count() { return n; },
    get mean() { return mean; },
    get variance() { return n > 1 ? m2 / (n - 1) : NaN; },
    get deviation() { return Math.sqrt(this.variance); },
    /** Of the mean. */
    get error() { return Math.sqrt(this.variance / n); },
    /** Of the variance, relative to it. */
    get varianceError() { return n > 3 && m2 > 0 ? Math.sqrt(Math.max(0, (n * m4) / (m2 * m2) - 1) / n) : NaN; },
  };
}
