// The text beside the map: what to look for, and what the codes of this run show, in numbers.

import { h } from "../ui/dom.js";
import { percent, shortNumber } from "../ui/geometry.js";

/** Return the text of a layer: sentences computed from its codes. */
export function mapWords({ run, layer, codes, plane }) {
  const found = [planeWords(layer, plane), neighbourWords(run, layer), spreadWords(run, layer, codes), mixtureWords(run)].filter(Boolean);
  return h("section", { "aria-label": "What this map shows" }, h("h2", { text: "What to look for" }), h("p", { text: guide(run) }), ...(found.length ? [h("h2", { text: "What this run shows" }), h("ul", {}, found.map((text) => h("li", { text })))] : []));
}

function guide({ model, data }) {
  const groups = data.given ? "What the model is given need not show in the code, so that rows with different values of it may be mixed. " : data.labels ? "Rows of one class near each other: the code has found the class without being told. " : "Groups of rows, and what changes as the cursor goes from one to the next. ";
  if (model.code === "bits") return `${groups}Each row is its bits' probabilities; between groups, see which bits flip, and whether what is decoded still looks like data.`;
  if (model.code === "point" && model.prior(1).kind === "mixture") return `${groups}The ellipses are the components of the mixture that was fitted to the codes; between them the decoder was never trained, and what it decodes there may look like nothing.`;
  const drawn = `${model.exPost ? "was fitted to the codes after the training" : "was learned with the model"}: codes drawn from it should lie where the codes of rows lie.`;
  if (model.prior(1).kind === "mixture") return `${groups}The ellipses are the components of the prior, which ${drawn}`;
  if (model.prior(1).kind === "flow") return `${groups}The prior ${drawn} Of a code of two numbers its contours are drawn.`;
  return `${groups}The codes should fill the circles of the prior without gaps: what is decoded from a gap or from far outside need not look like data, and samples are drawn from the whole of the circles.`;
}

function planeWords(layer, plane) {
  const { variances, total } = layer.summary;
  if (layer.size <= 2 || plane.isStrip) return null;
  if (total < 1e-12) return "All rows have the same code.";
  const places = plane.names.filter((name, index, all) => name.startsWith("p") && all.indexOf(name) === index);
  if (places.length < 2) return null;
  const share = places.reduce((sum, name) => sum + variances[Number(name.slice(1)) - 1], 0) / total;
  return `The plane of two principal axes, computed from the rows of this page when it was written, holds ${percent(share)} of the variance of their codes; rows that are near each other here can be far apart ${layer.size === 3 ? "in the other direction" : `in the other ${layer.size - 2} directions`}.`;
}

function neighbourWords({ data }, layer) {
  const { neighbours } = layer.summary;
  if (!neighbours || !data.labels) return null;
  const { rows, nearest, share, chance, mixed } = neighbours;
  const first = `${rows < data.count ? `Among ${rows} rows: of` : "Of"} the ${nearest} nearest codes of a row${layer.size > 2 ? ` (in all ${layer.size} directions)` : ""}, ${percent(share)} have its class; of rows taken at random, ${percent(chance)} would.`;
  if (!mixed || mixed[2] === 0) return first;
  const [a, b, part] = mixed;
  return `${first} The classes that overlap most are ${data.classes[a]} and ${data.classes[b]}: ${percent(part)} of the nearest codes of one are of the other.`;
}

function spreadWords(run, layer, codes) {
  if (run.data.count < 2) return "The page holds one row: what varies between rows cannot be said.";
  if (run.model.code === "bits") return bitWords(layer, codes);
  if (run.model.code === "point") return null;
  const isTop = layer.index === Math.max(1, run.model.layers.length) - 1;
  const variances = unitVariances(codes, layer.size);
  const used = variances.filter((variance) => variance > 0.01).length;
  const units = used === 0 ? `No unit varies between rows (variance of the posterior mean above 0.01): the code says almost nothing about a row.` : `${layer.size === 1 ? "The unit varies" : `${used} of ${layer.size} units vary`} between rows (variance of the posterior mean above 0.01).`;
  if (!isTop || !run.spreads) return units;
  const noise = meanSquare(run.spreads, run.model.dim, layer);
  const mean = variances.reduce((sum, variance) => sum + variance, 0) / layer.size;
  const off = Math.sqrt(layer.summary.mean.reduce((sum, value) => sum + value * value, 0) / layer.size);
  const opening = ["mixture", "flow"].includes(run.model.prior(1).kind) ? "The" : `The prior has mean 0 and variance 1${layer.size === 1 ? "" : " in each unit"}; the`;
  return `${units} ${opening} codes have variance ${shortNumber(mean + noise)}${layer.size === 1 ? "" : " on average"} (${shortNumber(mean)} between rows and ${shortNumber(noise)} within the posterior of a row), and their mean is ${shortNumber(off)} away from 0${layer.size === 1 ? "" : " (root mean square over the units)"}.`;
}

function bitWords(layer, codes) {
  const variances = unitVariances(codes, layer.size);
  const used = variances.filter((variance) => variance > 0.01).length;
  let sure = 0;
  for (const p of codes) if (p < 0.1 || p > 0.9) sure += 1;
  const bits = used === 0 ? "No bit varies between rows" : `${used} of ${layer.size} bits vary between rows`;
  return `${bits} (variance of its probability above 0.01); ${percent(sure / codes.length)} of all bits of all rows are decided, with a probability below 0.1 or above 0.9.`;
}

function mixtureWords({ model }) {
  const prior = model.prior(1);
  if (prior.kind !== "mixture") return null;
  const { weights } = prior.params;
  if (weights.length === 1) return "The mixture has one component: it is one Gaussian.";
  return `The mixture has ${weights.length} components; the heaviest holds ${percent(Math.max(...weights))} of the density, the lightest ${percent(Math.min(...weights))}.`;
}

function unitVariances(codes, size) {
  const rows = codes.length / size;
  const sum = new Float64Array(size);
  const squares = new Float64Array(size);
  codes.forEach((value, place) => {
    sum[place % size] += value / rows;
  });
  codes.forEach((value, place) => {
    squares[place % size] += (value - sum[place % size]) ** 2 / rows;
  });
  return squares;
}

function meanSquare(spreads, dim, layer) {
  let sum = 0;
  for (let row = 0; row < spreads.length; row += dim) {
    for (let place = layer.start; place < layer.start + layer.size; place += 1) sum += spreads[row + place] ** 2;
  }
  return sum / ((spreads.length / dim) * layer.size);
}
