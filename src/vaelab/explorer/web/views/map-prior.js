// What the model expects of codes, drawn on the map: circles of a Gaussian prior, ellipses and contours of a mixture.

import { contour, ellipse, gaussianDensity, heightsOfShares } from "../ui/geometry.js";

/** The shares of a mixture that are inside its contours. */
export const SHARES = [0.5, 0.8, 0.95];

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
  const box = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { mean: [x, y], covariance: [a, , c] } of components) {
    const [dx, dy] = [4 * Math.sqrt(a), 4 * Math.sqrt(c)];
    [box[0], box[1], box[2], box[3]] = [Math.min(box[0], x - dx), Math.max(box[1], x + dx), Math.min(box[2], y - dy), Math.max(box[3], y + dy)];
  }
  const [wide, high] = [(box[1] - box[0]) / (cells - 1), (box[3] - box[2]) / (cells - 1)];
  if (!(wide > 0) || !(high > 0)) return [];
  const values = new Float64Array(cells * cells);
  for (const { weight, mean, covariance } of components) {
    const density = gaussianDensity(mean, covariance);
    for (let place = 0; place < values.length; place += 1) {
      values[place] += weight * density(box[0] + (place % cells) * wide, box[2] + Math.floor(place / cells) * high);
    }
  }
  const scaled = ([x0, y0, x1, y1]) => [box[0] + x0 * wide, box[2] + y0 * high, box[0] + x1 * wide, box[2] + y1 * high];
  return heightsOfShares(values, SHARES).map((height) => contour(values, cells, cells, height).map(scaled));
}
