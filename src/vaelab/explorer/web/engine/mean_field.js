// Mean-field inference in belief networks: q(z|x) of independent bits, optimised for each row by coordinate ascent of a
// bound on log p(x). The same updates, start and end as vaelab.inference (Saul, Jaakkola & Jordan, 1996; Saul & Jordan,
// 1999), for one row at a time. A layer is {J, h, parents, children}: J (parents, children) and h (children) of the
// logits of its children; mu are the means of its parents and xi the variables of its children.
import { logAddExp, sigmoid, softplus } from "./numbers.js";

const LEAST = 4 * 2 ** -23; // means stay so far from 0 and 1
const NEWTON_STEPS = 2;
const HALVINGS = 10;

/** The means of the layers of one row x, nearest to x first; sweeps end when the bound changes by < tolerance nats. */
export function inferMeans(x, layers, top, { field, tolerance, sweeps }) {
  const kind = FIELDS[field];
  const mu = layers.map(({ parents }) => new Float64Array(parents).fill(0.5));
  const xi = layers.map(({ children }) => new Float64Array(children).fill(0.5));
  let before = boundOf(x, layers, top, kind, mu, xi);
  for (let sweep = 0; sweep < sweeps; sweep += 1) {
    layers.forEach((layer, l) => {
      const child = l === 0 ? x : mu[l - 1];
      const drive = l + 1 < layers.length ? meansOf(layers[l + 1], mu[l + 1]) : top;
      kind.updateParents(layer, mu[l], xi[l], child, drive);
    });
    layers.forEach((layer, l) => tighten(kind, layer, mu[l], xi[l]));
    const after = boundOf(x, layers, top, kind, mu, xi);
    if (Math.abs(after - before) < tolerance) {
      break;
    }
    before = after;
  }
  return mu;
}

/** <z_i> = sum_j J_ji mu_j + h_i of the children. */
function meansOf({ J, h, parents, children }, mu) {
  const z = Float64Array.from(h);
  for (let j = 0, w = 0; j < parents; j += 1) {
    for (let i = 0; i < children; i += 1, w += 1) {
      z[i] += J[w] * mu[j];
    }
  }
  return z;
}

function boundOf(x, layers, top, kind, mu, xi) {
  let total = 0;
  layers.forEach((layer, l) => {
    const child = l === 0 ? x : mu[l - 1];
    const mean = meansOf(layer, mu[l]);
    const { cost } = kind.slopes(layer, mu[l], xi[l]);
    for (let i = 0; i < layer.children; i += 1) {
      total += Number.isNaN(child[i]) ? 0 : child[i] * mean[i] - cost[i];
    }
  });
  const last = mu[mu.length - 1];
  top.forEach((c, j) => {
    total += last[j] * c - softplus(c);
  });
  return mu.reduce((sum, means) => sum + means.reduce((part, m) => part + entropyOf(m), 0), total);
}

function entropyOf(m) {
  return -m * Math.log(m) - (1 - m) * Math.log1p(-m);
}

function inside(m) {
  return Math.min(1 - LEAST, Math.max(LEAST, m));
}

/** A better xi by steps of Newton's method inside a bracket, never a worse one. */
function tighten(kind, layer, mu, xi) {
  const { children } = layer;
  const [low, high] = [new Float64Array(children), new Float64Array(children).fill(1)];
  const [best, lowest] = [Float64Array.from(xi), new Float64Array(children).fill(Infinity)];
  for (let round = 0; round < NEWTON_STEPS; round += 1) {
    const { cost, slope, curvature } = kind.slopes(layer, mu, xi);
    for (let i = 0; i < children; i += 1) {
      if (cost[i] < lowest[i]) {
        [best[i], lowest[i]] = [xi[i], cost[i]];
      }
      low[i] = slope[i] < 0 ? xi[i] : low[i];
      high[i] = slope[i] > 0 ? xi[i] : high[i];
      const step = xi[i] - slope[i] / Math.max(curvature[i], 1e-38);
      xi[i] = step > low[i] && step < high[i] ? step : (low[i] + high[i]) / 2;
    }
  }
  const { cost } = kind.slopes(layer, mu, xi);
  for (let i = 0; i < children; i += 1) {
    xi[i] = cost[i] < lowest[i] ? xi[i] : best[i];
  }
}

// The exact mean over independent parents: a product over them, updated one after the other.
const product = {
  slopes({ J, h, parents, children }, mu, xi) {
    const mean = Float64Array.from(h);
    const tilts = [0, 1].map(() => ({
      logs: new Float64Array(children), first: new Float64Array(children), second: new Float64Array(children),
    }));
    for (let j = 0, w = 0; j < parents; j += 1) {
      const m = mu[j];
      for (let i = 0; i < children; i += 1, w += 1) {
        mean[i] += J[w] * m;
        for (let side = 0; side < 2; side += 1) {
          const e = m * Math.expm1((side - xi[i]) * J[w]);
          const moved = (J[w] * (m + e)) / (1 + e);
          tilts[side].logs[i] += Math.log1p(e);
          tilts[side].first[i] -= moved;
          tilts[side].second[i] += moved * (J[w] - moved);
        }
      }
    }
    const [a, b] = tilts;
    const [cost, slope, curvature] = [0, 1, 2].map(() => new Float64Array(children));
    for (let i = 0; i < children; i += 1) {
      const [logA, logB] = [a.logs[i] - xi[i] * h[i], b.logs[i] + (1 - xi[i]) * h[i]];
      const phi = sigmoid(logB - logA);
      const [firstA, firstB] = [a.first[i] - h[i], b.first[i] - h[i]];
      cost[i] = xi[i] * mean[i] + logAddExp(logA, logB);
      slope[i] = mean[i] + (1 - phi) * firstA + phi * firstB;
      curvature[i] = (1 - phi) * a.second[i] + phi * b.second[i] + phi * (1 - phi) * (firstA - firstB) ** 2;
    }
    return { cost, slope, curvature };
  },

  updateParents({ J, h, parents, children }, mu, xi, child, drive) {
    const logRatio = Float64Array.from(h); // log B - log A
    for (let j = 0, w = 0; j < parents; j += 1) {
      for (let i = 0; i < children; i += 1, w += 1) {
        const [a, b] = [-xi[i] * J[w], (1 - xi[i]) * J[w]];
        logRatio[i] += Math.log1p(mu[j] * Math.expm1(b)) - Math.log1p(mu[j] * Math.expm1(a));
      }
    }
    const [e, g] = [new Float64Array(children), new Float64Array(children)];
    for (let j = 0; j < parents; j += 1) {
      let logit = drive[j];
      for (let i = 0, w = j * children; i < children; i += 1, w += 1) {
        e[i] = Math.expm1(-xi[i] * J[w]);
        g[i] = Math.expm1((1 - xi[i]) * J[w]);
        if (!Number.isNaN(child[i])) {
          const phi = sigmoid(logRatio[i]);
          const pull = ((1 - phi) * e[i]) / (1 + mu[j] * e[i]) + (phi * g[i]) / (1 + mu[j] * g[i]);
          logit += (child[i] - xi[i]) * J[w] - pull;
        }
      }
      const [old, fresh] = [mu[j], inside(sigmoid(logit))];
      for (let i = 0; i < children; i += 1) {
        logRatio[i] += Math.log(((1 + fresh * g[i]) * (1 + old * e[i])) / ((1 + fresh * e[i]) * (1 + old * g[i])));
      }
      mu[j] = fresh;
    }
  },
};

// The mean computed as if z were Gaussian; all parents are updated together, with a step that is halved until L rises.
const gaussian = {
  moments({ J, h, parents, children }, mu, xi) {
    const [t, v] = [Float64Array.from(h), new Float64Array(children)];
    for (let j = 0, w = 0; j < parents; j += 1) {
      const spread = mu[j] * (1 - mu[j]);
      for (let i = 0; i < children; i += 1, w += 1) {
        t[i] += J[w] * mu[j];
        v[i] += J[w] * J[w] * spread;
      }
    }
    return { t: t.map((mean, i) => mean + 0.5 * (1 - 2 * xi[i]) * v[i]), v };
  },

  slopes(layer, mu, xi) {
    const { t, v } = gaussian.moments(layer, mu, xi);
    const s = t.map(sigmoid);
    return {
      cost: t.map((value, i) => 0.5 * xi[i] * xi[i] * v[i] + softplus(value)),
      slope: s.map((value, i) => xi[i] - value),
      curvature: s.map((value, i) => 1 + v[i] * value * (1 - value)),
    };
  },

  updateParents(layer, mu, xi, child, drive) {
    const { J, parents, children } = layer;
    const s = gaussian.moments(layer, mu, xi).t.map(sigmoid);
    const target = new Float64Array(parents);
    for (let j = 0, w = 0; j < parents; j += 1) {
      let logit = drive[j];
      for (let i = 0; i < children; i += 1, w += 1) {
        if (!Number.isNaN(child[i])) {
          const curved = J[w] * J[w] * (xi[i] * xi[i] + (1 - 2 * xi[i]) * s[i]);
          logit += (child[i] - s[i]) * J[w] - 0.5 * (1 - 2 * mu[j]) * curved;
        }
      }
      target[j] = inside(sigmoid(logit));
    }
    const before = gaussian.value(layer, mu, xi, child, drive);
    for (let halving = 0, step = 1; halving < HALVINGS; halving += 1, step /= 2) {
      const moved = mu.map((m, j) => m + step * (target[j] - m));
      if (gaussian.value(layer, moved, xi, child, drive) >= before) {
        mu.set(moved);
        return;
      }
    }
  },

  /** The part of the bound that depends on the means of the parents. */
  value(layer, mu, xi, child, drive) {
    const mean = meansOf(layer, mu);
    const { cost } = gaussian.slopes(layer, mu, xi);
    let total = mu.reduce((sum, m, j) => sum + drive[j] * m + entropyOf(m), 0);
    for (let i = 0; i < layer.children; i += 1) {
      total += Number.isNaN(child[i]) ? 0 : child[i] * (mean[i] - layer.h[i]) - cost[i];
    }
    return total;
  },
};

const FIELDS = { product, gaussian };
