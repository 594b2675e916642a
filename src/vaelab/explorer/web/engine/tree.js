// Bits of which each depends on one other, its parent in a tree: the distribution `Tree` of Python. The messages between
// the columns, of Pearl (1988), are explained in its docstring.
import { sigmoid, softplus } from "./numbers.js";

const CERTAIN = 1e6; // the logit of a value that is known

/**
 * Bits with the logits `off` where the parent is 0 and `on` where it is 1, (n * size) each. `forest` is {parents, order}:
 * the parent of each column, -1 for a root, and the columns in an order in which parents come first.
 * given(x) is the distribution given the values of one row x that are not NaN. A temperature T gives p(x) the power 1/T.
 */
export function tree(n, size, off, on, forest) {
  const { parents, order } = forest;
  /** The log-ratios r of each column in row r: what x says of the columns below it; `reduce` of a value that is missing. */
  const ratiosOf = (r, reduce, x, start, temperature = 1) => {
    const ratios = new Float64Array(size);
    for (let k = size - 1; k >= 0; k -= 1) {
      const j = order[k];
      if (parents[j] >= 0) {
        const [low, high] = [off, on].map((logits) => {
          const l = logits[r * size + j];
          return termOf(l / temperature + ratios[j], reduce, x && x[start + j]) - softplus(l) / temperature;
        });
        ratios[parents[j]] += high - low;
      }
    }
    return ratios;
  };
  /** The same tree with other logits: change(logit, index of the number, log-ratio of its column). */
  const changed = (reduce, x, change, temperature = 1) => {
    const [low, high] = [new Float32Array(n * size), new Float32Array(n * size)];
    for (let r = 0; r < n; r += 1) {
      ratiosOf(r, reduce, x, 0, temperature).forEach((ratio, j) => {
        const i = r * size + j;
        [low[i], high[i]] = [change(off[i], j, ratio), change(on[i], j, ratio)];
      });
    }
    return tree(n, size, low, high, forest);
  };
  /** Numbers of each row, from the roots on: choose(logit where the parent is 0, where it is 1, number of the parent). */
  const downwards = (choose) => {
    const rows = new Float32Array(n * size);
    for (let r = 0; r < n; r += 1) {
      for (const j of order) {
        const i = r * size + j;
        rows[i] = choose(off[i], on[i], parents[j] < 0 ? 0 : rows[r * size + parents[j]]);
      }
    }
    return rows;
  };
  const likelier = () => downwards((low, high, parent) => ((parent > 0.5 ? high : low) > 0 ? 1 : 0));
  const self = {
    kind: "tree",
    n,
    size,
    params: { off, on, forest },
    mean: () => downwards((low, high, parent) => (1 - parent) * sigmoid(low) + parent * sigmoid(high)),
    mode: () => changed((l) => Math.max(0, l), null, (l, j, ratio) => l + ratio).likelier(),
    likelier,
    sample: (rng, temperature = 1) => {
      if (temperature === 0) {
        return self.mode();
      }
      const cooler = temperature === 1 ? self : changed(softplus, null, (l, j, ratio) => l / temperature + ratio, temperature);
      return cooler.drawn(rng);
    },
    drawn: (rng) => downwards((low, high, parent) => (rng.uniform() < sigmoid(parent > 0.5 ? high : low) ? 1 : 0)),
    logProb: (x) => {
      const total = new Float64Array(n);
      const isShared = x.length === size && n > 1;
      for (let r = 0; r < n; r += 1) {
        const start = isShared ? 0 : r * size;
        ratiosOf(r, softplus, x, start).forEach((ratio, j) => {
          const l = off[r * size + j];
          total[r] += termOf(l + ratio, softplus, x[start + j]) - softplus(l);
        });
      }
      return total;
    },
    given: (x) => changed(softplus, x, (l, j, ratio) => (Number.isNaN(x[j]) ? l + ratio : (x[j] - 0.5) * CERTAIN)),
  };
  return self;
}

/** The log of what a column adds, of its value, or of both values if it is missing (NaN, or null where all are). */
function termOf(logit, reduce, value) {
  return value === null || Number.isNaN(value) ? reduce(logit) : value * logit;
}
