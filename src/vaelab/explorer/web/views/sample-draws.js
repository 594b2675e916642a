// Draws of a model for the Sample view: the same codes as means, most probable values and draws; and the nearest row of the page.

import { random } from "../engine/random.js";
import { hasLevels, levelOf } from "../ui/variables.js";

/** The ways to show what the model makes of a code: name in the address, words. */
export const KINDS = [["mean", "Means"], ["mode", "Most probable values"], ["draw", "Draws"]];

/** Return `{ z, mean, mode, draw }` of n codes of the prior at a temperature: all three of the same codes. */
export function drawSamples(run, { n, temperature, seed, component, given }) {
  const rng = random(seed);
  const prior = run.model.prior(n);
  const codes = rng.fork("codes");
  const z = component === null ? prior.sample(codes, temperature) : prior.sampleOf(component, codes, temperature);
  const p = run.model.likelihood(z, n, given);
  return { z, mean: p.mean(), mode: p.mode(), draw: p.sample(rng.fork("observations")) };
}

/** Return how many components the prior of a run has; 0 if it is no mixture. */
export function componentsOf(run) {
  const { params } = run.model.prior(1);
  return params.weights?.length ?? 0;
}

/** Return in words what the temperature changes in the prior of a run. */
export function temperatureWords(run) {
  const prior = run.model.prior(1);
  if (prior.kind === "mixture") return `The standard deviations of the mixture's components are multiplied by the temperature. 1 is the model; at 0 every code is the mean of a component. The weights of the components stay.`;
  if (prior.kind === "flow") return "The standard deviation of the noise that the flow maps to codes is multiplied by the temperature. 1 is the model; at 0 every code is that of noise 0.";
  if (prior.kind === "normal") return "The standard deviation of the prior is multiplied by the temperature. 1 is the model; at 0 every code is the prior's mean.";
  if (prior.kind === "bernoulli") {
    const fair = prior.params.logits.every((logit) => logit === 0);
    const words = "The logits of the prior's bits are divided by the temperature. 1 is the model; at 0 every bit has its likelier value.";
    return fair ? `${words} In this prior every bit is 1 with probability 1/2, so a temperature above 0 changes nothing; at 0 every bit is 0.` : words;
  }
  return run.model.code === "bits"
    ? "From the top layer down, the logits of each layer's bits are divided by the temperature. 1 is the model; at 0 every bit has its likelier value, given the layer above."
    : "From the top layer down, the standard deviations of each layer are multiplied by the temperature. 1 is the model; at 0 every layer is its mean, given the layer above.";
}

/** Return a function from an observation to the nearest row of the page: `{ row, distance }`, and how distances are measured.
 * Bits: how many values differ. Others: a column of levels counts 1 if the level differs; numbers count the squared difference, divided by the column's variance. */
export function nearestRow(data) {
  const rows = data.x;
  const distance = data.image ? distanceOfNumbers(data) : distanceOfVariables(data);
  const nearest = (x, leaveOut = -1) => {
    let [best, least] = [-1, Infinity];
    for (let row = 0; row < data.count; row += 1) {
      if (row === leaveOut) continue;
      const found = distance(x, 0, row, least);
      if (found < least) [best, least] = [row, found];
    }
    return { row: best, distance: least };
  };
  let usual = null;
  return {
    of: (x) => nearest(x),
    /** The median distance of some rows of the page to their own nearest other row, and how many these are: `{ distance, count }`. */
    usual() {
      const most = Math.max(5, Math.min(40, Math.floor(6e7 / rows.length))); // rows that are compared with all: a tenth of a second
      usual ??= usualOf(spaced(data.count, most).map((row) => nearest(rows.subarray(row * data.size, (row + 1) * data.size), row).distance));
      return usual;
    },
    bits: isBits(data),
  };
}

function usualOf(distances) {
  return { distance: median(distances), count: distances.length };
}

function isBits(data) {
  return data.image ? data.x.every((value) => value === 0 || value === 1) : data.variables.every(hasLevels);
}

function distanceOfNumbers(data) {
  const { x: rows, size } = data;
  return (x, start, row, limit) => {
    let total = 0;
    for (let place = 0, other = row * size; place < size && total < limit; place += 1, other += 1) {
      const gap = x[start + place] - rows[other];
      if (gap === gap) total += gap * gap;
    }
    return total;
  };
}

function distanceOfVariables(data) {
  const scales = data.variables.map((variable) => (hasLevels(variable) ? null : 1 / variance(data, variable.start)));
  return (x, start, row) => {
    const from = row * data.size;
    let total = 0;
    data.variables.forEach((variable, place) => {
      const [mine, other] = [x[start + variable.start], data.x[from + variable.start]];
      if (Number.isNaN(mine) || Number.isNaN(other)) return;
      if (scales[place] !== null) total += scales[place] * (mine - other) ** 2;
      else total += levelOf(variable, x, start) === levelOf(variable, data.x, from) ? 0 : 1;
    });
    return total;
  };
}

function variance(data, column) {
  const values = [];
  for (let row = 0; row < data.count; row += 1) values.push(data.x[row * data.size + column]);
  const known = values.filter((value) => !Number.isNaN(value));
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  return known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length || 1;
}

function spaced(count, most) {
  const number = Math.min(count, most);
  return Array.from({ length: number }, (_, place) => Math.floor((place * count) / number));
}

function median(values) {
  const sorted = Float64Array.from(values).sort();
  return sorted.length % 2 ? sorted[(sorted.length - 1) / 2] : (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
}
