// Chains: a code of several layers, each given the one drawn before it. A code is the layers side by side, the one
// nearest to x first: q(y_1|x) q(y_2|y_1) ... upwards, or p(y_L) p(y_L-1|y_L) ... downwards.
import { columnsOf, sideBySide } from "./numbers.js";

/** The chain of a first distribution and of steps (layer, n) -> distribution of the next, in the order of drawing. */
export function chain(n, sizes, first, steps, downwards) {
  const size = sizes.reduce((sum, width) => sum + width, 0);
  const starts = sizes.map((_, l) => sizes.slice(0, l).reduce((sum, width) => sum + width, 0));
  const order = downwards ? sizes.map((_, l) => sizes.length - 1 - l) : sizes.map((_, l) => l);
  const pass = (choose) => {
    const layers = [];
    order.forEach((l, k) => {
      const p = k === 0 ? first : steps[k - 1](layers[order[k - 1]], n);
      layers[l] = choose(p);
    });
    return sideBySide(layers, sizes, n);
  };
  return {
    kind: "chain",
    n,
    size,
    params: { sizes, first, steps, downwards },
    mean: () => pass((p) => p.mean()),
    mode: () => pass((p) => p.mode()),
    stddev: () => {
      const layers = [];
      const means = [];
      order.forEach((l, k) => {
        const p = k === 0 ? first : steps[k - 1](means[order[k - 1]], n);
        means[l] = p.mean();
        layers[l] = p.stddev();
      });
      return sideBySide(layers, sizes, n);
    },
    sample: (rng, temperature = 1) => pass((p) => p.sample(rng, temperature)),
    logProb: (z) => {
      const rows = z.length / size;
      const layers = sizes.map((width, l) => columnsOf(z, rows, size, starts[l], starts[l] + width));
      const total = new Float64Array(n);
      order.forEach((l, k) => {
        const p = k === 0 ? first : steps[k - 1](layers[order[k - 1]], rows);
        p.logProb(layers[l]).forEach((value, r) => {
          total[r] += value;
        });
      });
      return total;
    },
  };
}
