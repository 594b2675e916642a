// The mixture of Gaussians over codes, the prior of a model: its density, its draws, and which component has a code.
import { logSumExp } from "./numbers.js";

const LOG_2PI = Math.log(2 * Math.PI);

/** The mixture of weights (C), means (C, D) and covariances (C, D, D), for n rows. */
export function mixture(n, size, weights, means, covariances) {
  const count = weights.length;
  const roots = Array.from({ length: count }, (_, c) => cholesky(covariances, c * size * size, size));
  const logDensities = (z) => {
    const joint = new Float64Array(n * count); // log pi_c + log N(z; mu_c, Sigma_c)
    for (let r = 0; r < n; r += 1) {
      const start = z.length === size ? 0 : r * size;
      for (let c = 0; c < count; c += 1) {
        joint[r * count + c] = Math.log(weights[c]) + logNormal(z, start, means, c * size, roots[c], size);
      }
    }
    return joint;
  };
  const mean = new Float32Array(n * size);
  for (let i = 0; i < mean.length; i += 1) {
    for (let c = 0; c < count; c += 1) {
      mean[i] += weights[c] * means[c * size + (i % size)];
    }
  }
  const best = means.slice(size * weights.indexOf(weights.reduce((a, b) => Math.max(a, b))));
  return {
    kind: "mixture",
    n,
    size,
    params: { weights, means, covariances },
    mean: () => mean.slice(),
    mode: () => Float32Array.from(mean, (_, i) => best[i % size]), // the mean of the heaviest component
    sample: (rng, temperature = 1) => {
      const rows = new Float32Array(n * size);
      for (let r = 0; r < n; r += 1) {
        drawNormal(rows, r * size, means, roots, pick(weights, rng.uniform()), size, rng, temperature);
      }
      return rows;
    },
    /** Draws of one component. */
    sampleOf: (component, rng, temperature = 1) => {
      const rows = new Float32Array(n * size);
      for (let r = 0; r < n; r += 1) {
        drawNormal(rows, r * size, means, roots, component, size, rng, temperature);
      }
      return rows;
    },
    logProb: (z) => {
      const joint = logDensities(z);
      return Float64Array.from({ length: n }, (_, r) => logSumExp(joint, r * count, count));
    },
    /** The probability of each component given z, (n * C). */
    responsibilities: (z) => {
      const joint = logDensities(z);
      return joint.map((value, i) => Math.exp(value - logSumExp(joint, i - (i % count), count)));
    },
  };
}

function pick(weights, uniform) {
  let left = uniform;
  for (let c = 0; c < weights.length - 1; c += 1) {
    if (left < weights[c]) {
      return c;
    }
    left -= weights[c];
  }
  return weights.length - 1;
}

function drawNormal(rows, start, means, roots, c, size, rng, temperature) {
  const noise = rng.normals(size);
  for (let i = 0; i < size; i += 1) {
    let value = 0;
    for (let j = 0; j <= i; j += 1) {
      value += roots[c][i * size + j] * noise[j];
    }
    rows[start + i] = means[c * size + i] + temperature * value;
  }
}

function logNormal(z, start, means, mean, root, size) {
  const solved = new Float64Array(size); // L^-1 (z - mu), row by row
  let total = -0.5 * size * LOG_2PI;
  for (let i = 0; i < size; i += 1) {
    let value = z[start + i] - means[mean + i];
    for (let j = 0; j < i; j += 1) {
      value -= root[i * size + j] * solved[j];
    }
    solved[i] = value / root[i * size + i];
    total -= 0.5 * solved[i] * solved[i] + Math.log(root[i * size + i]);
  }
  return total;
}

/** The lower triangle L with L L^T = the matrix (size, size) that starts at a place of an array. */
export function cholesky(matrices, start, size) {
  const root = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let value = matrices[start + i * size + j];
      for (let k = 0; k < j; k += 1) {
        value -= root[i * size + k] * root[j * size + k];
      }
      root[i * size + j] = i === j ? Math.sqrt(Math.max(value, 1e-30)) : value / root[j * size + j];
    }
  }
  return root;
}
