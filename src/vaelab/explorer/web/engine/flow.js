// Flows, as zuko computes them: chains of layers. A layer maps each number of a row by an increasing function, a spline or
// a line, whose parameters depend on other numbers of the row and, if there is one, on a context of the row.
import { network } from "./networks.js";
import { sideBySide } from "./numbers.js";

const LOG_2PI = Math.log(2 * Math.PI);
const BOUND = 5; // outside of [-BOUND, BOUND] a spline is the identity
const LOG_SLOPE = Math.log(1e-3);

/**
 * The layers of a flow: how many passes its inverse takes, and rows (n * inputs) to parameters (n * size * each). `open`
 * makes the function of a number of its parameters: `splineOf` or `lineOf`.
 */
export function flowLayers(layers, get, open) {
  return layers.map(({ passes, constants, network: net }) => {
    if (net) return { passes, open, inputs: net.inputs, parameters: network(net, get) };
    const { data } = get(constants);
    return { passes: 1, open, inputs: 0, parameters: (_, n) => Float64Array.from({ length: n * data.length }, (__, i) => data[i % data.length]) };
  });
}

/** A flow f of n rows, and log |det df/dz| of each: `{ rows, volume }`. The context is `{ rows, width }`, or null. */
export function mapped(layers, z, n, size, context = null) {
  const volume = new Float64Array(n);
  const rows = layers.reduce((values, layer) => {
    const functions = functionsOf(layer, values, n, size, context);
    return values.map((value, i) => {
      const [image, logSlope] = functions(i).forward(value);
      volume[Math.floor(i / size)] += logSlope;
      return image;
    });
  }, z);
  return { rows, volume };
}

/** The inverse of a flow. Each pass of a layer finds the numbers whose functions depend on those that are found already. */
export function unmapped(layers, noise, n, size, context = null) {
  return layers.reduceRight((images, layer) => {
    let found = new Float64Array(n * size);
    for (let pass = 0; pass < layer.passes; pass += 1) {
      const functions = functionsOf(layer, found, n, size, context);
      found = images.map((value, i) => functions(i).backward(value));
    }
    return found;
  }, noise);
}

/** The prior p(z) = N(f(u); 0, I) |det df/du| / prod s of n rows, u = (z - m) / s; `units` is [m, s], or null for 0 and 1. */
export function flow(n, size, layers, units = null) {
  const [shift, scale] = units ?? [new Float32Array(size), new Float32Array(size).fill(1)];
  const logScale = scale.reduce((sum, s) => sum + Math.log(s), 0);
  const inverse = (noise, count) => Float32Array.from(unmapped(layers, noise, count, size), (value, i) => shift[i % size] + scale[i % size] * value);
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
    sample: (rng, temperature = 1) => inverse(Float64Array.from({ length: n * size }, () => temperature * rng.normal()), n),
    logProb: (z) => {
      const standard = Float64Array.from({ length: n * size }, (_, i) => (z[z.length === size ? i % size : i] - shift[i % size]) / scale[i % size]);
      const { rows, volume } = mapped(layers, standard, n, size);
      const total = volume.map((value) => value - logScale - 0.5 * size * LOG_2PI);
      rows.forEach((value, i) => {
        total[Math.floor(i / size)] -= 0.5 * value * value;
      });
      return total;
    },
  };
}

/** The function of each number of the rows, by its place; in a code of one number it depends on the context alone. */
function functionsOf({ parameters, open, inputs }, rows, n, size, context) {
  const floats = Float32Array.from(rows);
  const both = () => sideBySide([floats, context.rows], [size, context.width], n);
  const read = context === null ? floats : inputs === context.width ? context.rows : both();
  const numbers = parameters(read, n);
  const each = numbers.length / (n * size);
  return (i) => open(numbers, i * each, each);
}

/** A line, from its parameters: the shift and a logarithm of the slope. */
export function lineOf(numbers, start) {
  const [shift, logSlope] = [numbers[start], squashed(numbers[start + 1], 1)];
  return { forward: (value) => [value * Math.exp(logSlope) + shift, logSlope], backward: (image) => (image - shift) * Math.exp(-logSlope) };
}

/** A spline, from its parameters. */
export function splineOf(numbers, start, each) {
  const spline = knots(numbers, start, (each + 1) / 3);
  return { forward: (value) => forward(spline, value), backward: (image) => backward(spline, image) };
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
