// What the model expects of codes, drawn on the map: circles of a Gaussian prior, ellipses and contours of a mixture, and
// contours of a flow.

import { random } from "../engine/random.js";
import { contour, ellipse, gaussianDensity, heightsOfShares, placesOfGaussian } from "../ui/geometry.js";

/** The shares of a mixture or a flow that are inside its contours. */
export const SHARES = [0.5, 0.8, 0.95];

const MANY = 30; // ellipses of more components cannot be told apart, so contours are shown at first

/** Return whether circles or ellipses of the prior are shown at first. */
export function startsWithOutlines({ components, plane }) {
  return components.length <= MANY || plane.isStrip;
}

/** Return whether contours of the prior are shown at first: where outlines are not. */
export function startsWithContours({ components }) {
  return components.length === 0 || components.length > MANY;
}

/** Return the prior of a layer in closed form: `{ kind: "normal" }`, `{ kind: "mixture", weights, means, covariances }` or null. */
export function priorOfLayer(model, layer) {
  const prior = model.prior(1);
  if (prior.kind !== "chain") return prior.kind === "bernoulli" ? null : { kind: prior.kind, ...prior.params };
  const isTop = layer.index === model.layers.length - 1;
  return isTop && prior.params.first.kind === "normal" ? { kind: "normal" } : null;
}

/** Return the circles of 1, 2 and 3 standard deviations of N(0, I) on the plane, as outlines. */
export function circlesOf(plane, size) {
  const middle = plane.place(new Float32Array(size));
  return [1, 2, 3].map((deviations) => ellipse(middle, plane.spread(null), deviations));
}

/** Return the components of a mixture on the plane: `[{ weight, mean, covariance, outline }]`, outline that of 2 standard deviations. */
export function componentsOn(plane, { weights, means, covariances }, size) {
  return Array.from(weights, (weight, c) => {
    const mean = plane.place(means.subarray(c * size, (c + 1) * size));
    const covariance = plane.spread(covariances.subarray(c * size * size, (c + 1) * size * size));
    return { weight, mean, covariance, outline: ellipse(mean, covariance, 2) };
  });
}

/** Return the contours of the density of a mixture on the plane, one for each of SHARES: segments [x0, y0, x1, y1]. */
export function contoursOf(components, cells = 110) {
  const parts = components.map(({ weight, mean, covariance }) => ({ weight, density: gaussianDensity(mean, covariance) }));
  const density = (x, y) => parts.reduce((sum, part) => sum + part.weight * part.density(x, y), 0);
  const box = boxAround(components);
  const least = (12 * Math.max(box[1] - box[0], box[3] - box[2])) / cells;
  const narrow = components.map((each) => boxAround([each])).filter(([left, right, low, high]) => Math.min(right - left, high - low) < least);
  const boxes = [box, ...narrow].filter(([left, right, low, high]) => right > left && high > low);
  const heights = heightsOn(components, density);
  const grids = boxes.map((each) => contoursIn(each, density, heights, cells));
  return boxes.length ? heights.map((_, level) => grids.flatMap((grid) => grid[level])) : [];
}

/** Return the contours of the density of a flow over codes of two numbers, and the box [left, right, low, high] of its draws. */
export function contoursOfFlow(plane, model, cells = 90) {
  const draws = model.prior(400).sample(random(0));
  const places = Array.from({ length: 400 }, (_, draw) => plane.place(draws.subarray(2 * draw, 2 * draw + 2)));
  const [left, right, low, high] = [0, 1].flatMap((axis) => {
    const values = places.map((place) => place[axis]);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return [least - 0.15 * (most - least), most + 0.15 * (most - least)];
  });
  const [wide, tall] = [(right - left) / (cells - 1), (high - low) / (cells - 1)];
  const codes = new Float32Array(2 * cells * cells);
  for (let cell = 0; cell < cells * cells; cell += 1) codes.set(plane.code(left + (cell % cells) * wide, low + Math.floor(cell / cells) * tall), 2 * cell);
  const values = model.prior(cells * cells).logProb(codes).map(Math.exp);
  const scaled = ([x0, y0, x1, y1]) => [left + x0 * wide, low + y0 * tall, left + x1 * wide, low + y1 * tall];
  const contours = heightsOfShares(values, values, SHARES).map((height) => contour(values, cells, cells, height).map(scaled));
  return { contours, box: [left, right, low, high] };
}

/** The box [left, right, low, high] of four standard deviations around each component. */
function boxAround(components) {
  const box = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { mean: [x, y], covariance: [a, , c] } of components) {
    const [dx, dy] = [4 * Math.sqrt(a), 4 * Math.sqrt(c)];
    [box[0], box[1], box[2], box[3]] = [Math.min(box[0], x - dx), Math.max(box[1], x + dx), Math.min(box[2], y - dy), Math.max(box[3], y + dy)];
  }
  return box;
}

/** The contours of a density at some heights, from its values on a grid over a box. */
function contoursIn([left, right, low, high], density, heights, cells) {
  const [wide, tall] = [(right - left) / (cells - 1), (high - low) / (cells - 1)];
  const values = Float64Array.from({ length: cells * cells }, (_, place) => density(left + (place % cells) * wide, low + Math.floor(place / cells) * tall));
  const scaled = ([x0, y0, x1, y1]) => [left + x0 * wide, low + y0 * tall, left + x1 * wide, low + y1 * tall];
  return heights.map((height) => contour(values, cells, cells, height).map(scaled));
}

/** The heights of the shares, from places that stand for each component: a grid would miss one that is narrower than a cell. */
function heightsOn(components, density) {
  const count = 500;
  const places = components.flatMap(({ mean, covariance }) => placesOfGaussian(mean, covariance, count));
  const masses = components.flatMap(({ weight }) => new Array(count).fill(weight / count));
  return heightsOfShares(places.map(([x, y]) => density(x, y)), masses, SHARES);
}
