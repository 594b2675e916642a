// The plane of the map: two directions in the space of codes, the places of the rows on it, and the code at each place.

import { percent, symmetricInverse } from "../ui/geometry.js";

/** Return the layers whose codes can be shown: `[{ index, start, size, name, summary }]`; one for a code without layers. */
export function layersOf(run) {
  const { layers, dim } = run.model;
  const sizes = layers.length ? layers : [dim];
  const kind = run.model.code === "bits" ? "bits" : "units";
  return sizes.map((size, index) => ({
    index,
    size,
    start: sizes.slice(0, index).reduce((sum, width) => sum + width, 0),
    name: `layer ${index + 1}: ${size} ${kind}${index === 0 ? ", next to x" : ""}`,
    summary: run.planes[index],
  }));
}

/** Return the codes of one layer of all rows, (rows, size). */
export function codesOfLayer(codes, dim, layer) {
  if (layer.size === dim) return codes;
  const rows = codes.length / dim;
  const part = new Float32Array(rows * layer.size);
  for (let row = 0; row < rows; row += 1) {
    part.set(codes.subarray(row * dim + layer.start, row * dim + layer.start + layer.size), row * layer.size);
  }
  return part;
}

/** Return the axes that can be chosen, [[name, text], ...]: principal axes p1, p2, ... and units u0, u1, ... of the code. */
export function axesOf(layer, code) {
  const { variances, total, axes } = layer.summary;
  const unit = code === "bits" ? "bit" : "unit";
  const count = layer.size < 2 ? 0 : axes.length / layer.size;
  const principal = Array.from({ length: count }, (_, axis) => {
    const share = total > 0 ? ` (${percent(variances[axis] / total)})` : "";
    return [`p${axis + 1}`, `principal axis ${axis + 1}${share}`];
  });
  return [...principal, ...Array.from({ length: layer.size }, (_, place) => [`u${place}`, `${unit} ${place}`])];
}

/** Return the axes that are shown at first: the units of a code of one or two numbers, else the principal axes. */
export function firstAxes(layer, code) {
  if (layer.size === 1) return ["u0", "none"];
  return layer.size === 2 && code !== "bits" ? ["u0", "u1"] : ["p1", "p2"];
}

/** Return the direction d and the offset c of an axis, whose coordinate of a code z is d z - c. */
function axisOf(layer, name) {
  const { mean, axes } = layer.summary;
  const number = Number(name.slice(1)); // units are counted from 0, principal axes from 1
  const direction = new Float64Array(layer.size);
  if (name.startsWith("u")) {
    direction[number] = 1;
    return { direction, offset: 0 };
  }
  direction.set(axes.subarray((number - 1) * layer.size, number * layer.size));
  return { direction, offset: dot(direction, mean) };
}

function dot(direction, code, start = 0) {
  let sum = 0;
  for (let place = 0; place < direction.length; place += 1) sum += direction[place] * code[start + place];
  return sum;
}

/**
 * Return the plane of two axes through a code: `place(code)`, `code(x, y)`, `places` of all rows and `spread(covariance)`.
 *
 * The code at a place is the one nearest to `through` that has these two coordinates. An axis y named "none" makes a strip:
 * the second coordinate of a row then only keeps rows apart.
 */
export function openPlane({ layer, codes, x, y, through, lanes }) {
  const isStrip = y === "none";
  const axes = isStrip ? [axisOf(layer, x)] : [axisOf(layer, x), axisOf(layer, y)];
  const gram = gramOf(axes);
  const inverse = symmetricInverse(gram);
  const coordinate = (axis, code, start = 0) => dot(axis.direction, code, start) - axis.offset;
  const start = axes.map((axis) => coordinate(axis, through));
  return {
    isStrip,
    names: [x, y],
    places: placesOf(axes, codes, layer.size, coordinate, lanes),
    place: (code) => [coordinate(axes[0], code), isStrip ? 0.5 : coordinate(axes[1], code)],
    code(px, py) {
      const [dx, dy] = [px - start[0], isStrip ? 0 : py - start[1]];
      const [a, b] = [inverse[0] * dx + inverse[1] * dy, inverse[1] * dx + inverse[2] * dy];
      return Float32Array.from(through, (value, place) => value + a * axes[0].direction[place] + (isStrip ? 0 : b * axes[1].direction[place]));
    },
    /** The covariance [a, b, c] on the plane of a covariance (size, size) of codes; of the unit matrix if it is null. */
    spread: (matrix) => (matrix === null ? gram : projected(axes, matrix, layer.size)),
  };
}

function gramOf(axes) {
  const [first, second] = [axes[0].direction, axes[1]?.direction];
  return second ? [dot(first, first), dot(first, second), dot(second, second)] : [dot(first, first), 0, 0];
}

function projected(axes, matrix, size) {
  const times = (direction) => Float64Array.from({ length: size }, (_, row) => dot(direction, matrix, row * size));
  const first = times(axes[0].direction);
  if (axes.length === 1) return [dot(axes[0].direction, first), 0, 0];
  return [dot(axes[0].direction, first), dot(axes[1].direction, first), dot(axes[1].direction, times(axes[1].direction))];
}

function placesOf(axes, codes, size, coordinate, lanes) {
  const rows = codes.length / size;
  const places = new Float32Array(2 * rows);
  for (let row = 0; row < rows; row += 1) {
    places[2 * row] = coordinate(axes[0], codes, row * size);
    places[2 * row + 1] = axes.length === 1 ? lane(row, lanes) : coordinate(axes[1], codes, row * size);
  }
  return places;
}

/** Return where a row stands in a strip: classes below each other, the rows of a class at heights of their own. */
function lane(row, { labels, count }) {
  const shift = (row * 0.6180339887498949) % 1; // multiples of the golden ratio fill an interval evenly
  const place = labels === null ? 0 : labels[row];
  return 1 - (place + 0.15 + 0.7 * shift) / count;
}

/**
 * Return how codes of a layer are decoded: `(code, given) -> { x, z }`, z the code of the layer that is decoded.
 *
 * Numbers of bits become the likelier bit. From an upper layer the model goes down, at each layer to the mean of the numbers
 * or to the likelier bits, given the layer above.
 */
export function decoderOf(model, layer) {
  const { layers, dim } = model;
  const settle = model.code === "bits" ? (values) => values.map((p) => (p > 0.5 ? 1 : 0)) : (values) => values;
  const steps = layers.length ? model.prior(1).params.steps.slice(layers.length - 1 - layer.index) : [];
  return (code, given = null, n = 1) => {
    const z = settle(code);
    let below = z;
    for (const step of steps) below = settle(step(below, n).mean());
    const width = below.length / n;
    const full = new Float32Array(n * dim);
    for (let row = 0; row < n; row += 1) full.set(below.subarray(row * width, (row + 1) * width), row * dim);
    return { z, x: model.decode(full, n, given) };
  };
}

/** Return what is decoded at a place, in one sentence; `given` says of a conditional model what it is given. */
export function decodedWords(run, layer, plane, pinned, given = "") {
  const bits = run.model.code === "bits";
  const rest = pinned === null ? "the mean of the rows' codes" : `the code of row ${pinned}`;
  const whole = layer.size <= (plane.isStrip ? 1 : 2);
  const on = plane.isStrip ? "line" : "plane";
  const down = layer.index > 0 ? `, then goes down to layer 1 by ${bits ? "the likelier bits" : "means"}` : "";
  const shown = run.data.image ? "the mean of p(x|z)" : "the mean of each column under p(x|z)";
  if (bits) {
    const where = whole ? `A place is ${plane.isStrip ? "the probability of one bit" : "the probabilities of two bits"}` : `The ${on} goes through ${rest} and crosses the probabilities of all ${layer.size} bits`;
    return `${where}; each bit is set to its likelier value${down}, and ${shown} is shown${given}.`;
  }
  const where = whole ? "A place is a code" : `The ${on} goes through ${rest} in the space of all ${layer.size} units`;
  return `${where}; the page decodes exactly the code under the cursor${down}, and shows ${shown}${given}.`;
}
