// What an input shows, in sentences: how typical it is, what its reconstruction changes, where its code lies.

import { cellOf } from "./draw-input.js";
import { codeWords, counted, nats, nearestCode, nearestValue, typicality, BOUNDS, DENSITIES } from "./draw-words.js";
import { rangesOf } from "./form.js";

/** Return what an input shows in sentences, and the rows that are nearest to it: `{ words, near: [[name, row], ...] }`. */
export function wordsOf(run, input, look, reference) {
  const { data, model } = run;
  const [words, rows] = [[], []];
  const value = model.hasBound ? look.bounds.elbo : look.density;
  const name = model.hasBound ? "ELBO" : "code\u2019s log-density";
  if (!model.hasBound) words.push(`Its reconstruction error is ${nats(look.error)} nats; this model has no likelihood, and so no bound.`);
  if (reference === null) words.push(`Its ${name} is ${nats(value)} nats, of the observed values; those of the rows are being computed.`);
  else if (reference.few) words.push(`Its ${name} is ${nats(value)} nats. Too few rows have these values observed, so that it is not compared.`);
  else words.push(typicality(name, value, reference, model.hasBound ? BOUNDS : DENSITIES));
  if (reference !== null && !reference.few && model.hasBound) {
    const near = nearestValue(reference.values, value);
    rows.push([name, reference.indices[near]]);
    words.push(`The nearest ${name} is that of row ${reference.indices[near]}: ${nats(reference.values[near])} nats.`);
  }
  words.push(changeWords(data, input, look.reconstruction));
  words.push(codeWords(model, look.mean, run.codes, data.count, counted(data.count, `${data.split} row`)));
  const near = nearestCode(look.mean, run.codes, data.count);
  const label = data.labels ? `, of class ${data.classes[data.labels[near]]}` : "";
  words.push(`The row whose code is nearest is row ${near}${label}.`);
  return { words: words.filter(Boolean), near: [["code", near], ...rows] };
}

/** Return what the reconstruction changes. */
function changeWords(data, { x }, reconstruction) {
  if (data.image) {
    const half = (data.levels[1] - data.levels[0]) / 2;
    const changed = x.reduce((count, value, place) => count + (Math.abs(value - reconstruction[place]) > half ? 1 : 0), 0);
    return `The reconstruction differs from it by more than half the way from paper to ink in ${counted(changed, "pixel")} of ${data.size.toLocaleString("en")}.`;
  }
  return [levelWords(data, x, reconstruction), numberWords(data, x, reconstruction)].filter(Boolean).join(" ");
}

function levelWords(data, x, reconstruction) {
  const levelled = data.variables.filter((variable) => ["binary", "categorical"].includes(variable.kind) && !Number.isNaN(cellOf(variable, x)));
  if (!levelled.length) return "";
  const other = levelled.filter((variable) => levelIn(variable, x) !== levelIn(variable, reconstruction));
  const probability = (variable) => probabilityOf(variable, levelIn(variable, x), reconstruction);
  const least = levelled.reduce((best, variable) => (probability(variable) < probability(best) ? variable : best));
  const level = (least.levels ?? ["0", "1"])[levelIn(least, x)];
  const changed = other.length ? `gives another level to ${counted(other.length, "variable")} of ${levelled.length.toLocaleString("en")}` : "gives every variable the level that it has";
  return `The reconstruction ${changed}; least expected is ${least.name} = ${level}, with probability ${probability(least).toFixed(2)}.`;
}

function probabilityOf(variable, level, mean) {
  if (variable.kind === "categorical") return mean[variable.start + level];
  return level === 1 ? mean[variable.start] : 1 - mean[variable.start];
}

/** Of numbers: the one whose reconstruction is farthest, in shares of the range of the rows. */
function numberWords(data, x, reconstruction) {
  const ranges = rangesOf(data);
  let [most, farthest] = [-1, null];
  data.variables.forEach((variable, index) => {
    if (ranges[index] === null || Number.isNaN(x[variable.start])) return;
    const share = Math.abs(x[variable.start] - reconstruction[variable.start]) / (ranges[index][1] - ranges[index][0] || 1);
    if (share > most) [most, farthest] = [share, variable];
  });
  if (farthest === null) return "";
  return `Of the numbers, ${farthest.name} differs most from its reconstruction: ${numeral(x[farthest.start])}, reconstructed as ${numeral(reconstruction[farthest.start])}.`;
}

function numeral(value) {
  return String(Number(value.toPrecision(3))).replace("-", "\u2212");
}

function levelIn(variable, x) {
  const value = cellOf(variable, x);
  return variable.kind === "binary" ? Math.round(value) : value;
}
