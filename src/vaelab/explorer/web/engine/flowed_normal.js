// A normal distribution that passes through a flow with a context for each row, as posterior of a model:
// z = mu + sigma f^-1(e; c) with e ~ N(0, I).
import { normal } from "./distributions.js";
import { mapped, unmapped } from "./flow.js";

/**
 * The distribution of loc and logScale (n * size), and the context `{ rows: (n * width), width }`. Mean and standard
 * deviation have no formula; as in Python, they are those of fixed values of e (`noise`, some rows of size numbers).
 */
export function flowedNormal(n, size, loc, logScale, layers, context, noise) {
  const units = normal(n, size, loc, logScale);
  const log = units.params.logScale;
  const placed = (u) => loc.map((mu, i) => mu + Math.exp(log[i]) * u[i]);
  let found = null;
  const moments = () => {
    found ??= momentsOf(layers, context, noise, n, size);
    return found;
  };
  const mean = () => placed(moments().mean);
  return {
    ...units,
    kind: "flowed-normal",
    mean,
    mode: mean, // which is not known
    stddev: () => log.map((value, i) => Math.exp(value) * moments().deviation[i]),
    sample: (rng, temperature = 1) => placed(unmapped(layers, Float64Array.from(loc, () => temperature * rng.normal()), n, size, context)),
    logProb: (x) => {
      const u = Float64Array.from(loc, (mu, i) => (x[x.length === size ? i % size : i] - mu) * Math.exp(-log[i])); // x may be one row for all
      const { rows, volume } = mapped(layers, u, n, size, context);
      return units.logProb(placed(rows)).map((value, r) => value + volume[r]);
    },
  };
}

/** Mean and standard deviation of f^-1(e; c) over the fixed values of e, for each row. */
function momentsOf(layers, { rows, width }, noise, n, size) {
  const [mean, deviation] = [new Float64Array(n * size), new Float64Array(n * size)];
  const count = noise.length / size;
  for (let r = 0; r < n; r += 1) {
    const context = { rows: Float32Array.from({ length: count * width }, (_, i) => rows[r * width + (i % width)]), width };
    const u = unmapped(layers, Float64Array.from(noise), count, size, context);
    u.forEach((value, i) => {
      mean[r * size + (i % size)] += value / count;
    });
    u.forEach((value, i) => {
      deviation[r * size + (i % size)] += (value - mean[r * size + (i % size)]) ** 2 / count;
    });
  }
  return { mean, deviation: deviation.map(Math.sqrt) };
}
