// The normal distribution of correlated units, as posterior of a model: z = mu + diag(sigma) (I + B) e, with B strictly
// lower triangular, its rows one after the other.
import { normal } from "./distributions.js";

/** The distribution of loc and logScale (n * size), and of below (n * size (size - 1) / 2). */
export function fullNormal(n, size, loc, logScale, below) {
  const units = normal(n, size, loc, logScale);
  const log = units.params.logScale;
  const each = (size * (size - 1)) / 2;
  /** Sum of f(B_jk, i) over the units k before unit j, where number i = r * size + j; the i of k is given to f. */
  const before = (i, f) => {
    const [r, j] = [Math.floor(i / size), i % size];
    const start = r * each + (j * (j - 1)) / 2;
    let sum = 0;
    for (let k = 0; k < j; k += 1) {
      sum += f(below[start + k], r * size + k);
    }
    return sum;
  };
  return {
    ...units,
    kind: "full-normal",
    params: { loc, logScale: log, below },
    stddev: () => log.map((value, i) => Math.exp(value) * Math.sqrt(1 + before(i, (b) => b * b))),
    sample: (rng, temperature = 1) => {
      const noise = loc.map(() => rng.normal());
      return loc.map((mu, i) => mu + temperature * Math.exp(log[i]) * (noise[i] + before(i, (b, k) => b * noise[k])));
    },
    logProb: (x) => {
      const noise = new Float64Array(n * size);
      for (let i = 0; i < n * size; i += 1) {
        const value = x[x.length === size ? i % size : i]; // x may be one row for all
        noise[i] = (value - loc[i]) * Math.exp(-log[i]) - before(i, (b, k) => b * noise[k]);
      }
      return units.logProb(loc.map((mu, i) => mu + Math.exp(log[i]) * noise[i])); // of the noise, and its volume
    },
  };
}
