// A neural spline flow over codes, the prior of a model: p(z) = N(f(z); 0, I) |det df/dz|, as zuko computes it. f is a
// chain of layers; a layer maps each number by a monotonic spline whose parameters depend on other numbers of z.
import { network } from "./networks.js";

const LOG_2PI = Math.log(2 * Math.PI);
const BOUND = 5; // outside of [-BOUND, BOUND] a spline is the identity
const LOG_SLOPE = Math.log(1e-3);

/** The layers of a flow: how many passes its inverse takes, and rows (n * size) to parameters (n * size * each). */
export function flowLayers(layers, get) {
  return layers.map(({ passes, constants, network: net }) => {
    if (net) return { passes, parameters: network(net, get) };
    const { data } = get(constants);
    return { passes: 1, parameters: (_, n) => Float64Array.from({ length: n * data.length }, (__, i) => data[i % data.length]) };
  });
}

/** The flow of these layers, for n rows. */
export function flow(n, size, layers) {
  const inverse = (noise, count) => layers.reduceRight((rows, layer) => inverted(layer, rows, count, size), noise);
  const centre = () => {
    const one = inverse(new Float64Array(size), 1);
    return Float32Array.from({ length: n * size }, (_, i) => one[i % size]);
  };
  return {
    kind: "flow",
    n,
    size,
    params: {},
    mean: centre, // not the mean, which has no formula, but the code that the flow makes of noise 0
    mode: centre,
    sample: (rng, temperature = 1) => Float32Array.from(inverse(Float64Array.from({ length: n * size }, () => temperature * rng.normal()), n)),
    logProb: (z) => {
      const total = new Float64Array(n).fill(-0.5 * size * LOG_2PI);
      let rows = Float64Array.from({ length: n * size }, (_, i) => z[z.length === size ? i % size : i]);
      for (const layer of layers) {
        const splines = splinesOf(layer, rows, n, size);
        rows = rows.map((value, i) => {
          const [image, logSlope] = forward(splines(i), value);
          total[Math.floor(i / size)] += logSlope;
          return image;
        });
      }
      rows.forEach((value, i) => {
        total[Math.floor(i / size)] -= 0.5 * value * value;
      });
      return total;
    },
  };
}

/** What a layer maps to these rows: each pass finds the numbers whose splines depend on those that are found already. */
function inverted(layer, rows, n, size) {
  let found = new Float64Array(n * size);
  for (let pass = 0; pass < layer.passes; pass += 1) {
    const splines = splinesOf(layer, found, n, size);
    found = rows.map((value, i) => backward(splines(i), value));
  }
  return found;
}

/** The spline of each number of the rows, as a function of its place. */
function splinesOf({ parameters }, rows, n, size) {
  const numbers = parameters(Float32Array.from(rows), n);
  const each = numbers.length / (n * size);
  return (i) => knots(numbers, i * each, (each + 1) / 3);
}

/** The knots of a spline of some bins, from its parameters: bins widths, bins heights, and bins - 1 logarithms of slopes. */
function knots(numbers, start, bins) {
  const slopes = new Float64Array(bins + 1).fill(1);
  for (let k = 1; k < bins; k += 1) slopes[k] = Math.exp(squashed(numbers[start + 2 * bins + k - 1], 1));
  return { x: cumulated(numbers, start, bins), y: cumulated(numbers, start + bins, bins), slopes };
}

/** The larger a parameter, the less it grows: the parts stay above a smallest size. */
function squashed(value, factor) {
  return value / (1 + Math.abs((factor * value) / LOG_SLOPE));
}

/** The places of the knots: the parts of [-BOUND, BOUND] are the softmax of the parameters. */
function cumulated(numbers, start, bins) {
  const parts = Float64Array.from({ length: bins }, (_, k) => Math.exp(squashed(numbers[start + k], 2)));
  const total = parts.reduce((sum, part) => sum + part, 0);
  const places = new Float64Array(bins + 1).fill(-BOUND);
  for (let k = 0; k < bins; k += 1) places[k + 1] = places[k] + (2 * BOUND * parts[k]) / total;
  return places;
}

/** The piece of a spline between two knots that holds a value; null outside of all. */
function piece({ x, y, slopes }, places, value) {
  const k = places.findIndex((place) => place >= value) - 1;
  if (k < 0) return null;
  const [width, height] = [x[k + 1] - x[k], y[k + 1] - y[k]];
  return { x: x[k], y: y[k], width, height, s: height / width, first: slopes[k], last: slopes[k + 1] };
}

/** The image of a value, and the logarithm of the slope there. */
function forward(spline, value) {
  const part = piece(spline, spline.x, value);
  if (part === null) return [value, 0];
  const { s, first, last } = part;
  const t = (value - part.x) / part.width;
  const both = t * (1 - t);
  const below = s + (first + last - 2 * s) * both;
  const slope = (s * s * (last * t * t + 2 * s * both + first * (1 - t) * (1 - t))) / (below * below);
  return [part.y + (part.height * (s * t * t + first * both)) / below, Math.log(slope)];
}

/** The value that has this image: the root of a quadratic equation. */
function backward(spline, image) {
  const part = piece(spline, spline.y, image);
  if (part === null) return image;
  const { s, first, last, height } = part;
  const above = image - part.y;
  const curve = above * (first + last - 2 * s);
  const [a, b, c] = [height * (s - first) + curve, height * first - curve, -s * above];
  return part.x + ((2 * c) / (-b - Math.sqrt(b * b - 4 * a * c))) * part.width;
}
