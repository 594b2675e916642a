// What the log of a training shows, in sentences with its numbers.

import { h } from "../ui/dom.js";
import { shownNumber } from "../ui/numbers.js";

/** Return the row of the log at which the selected weights were validated; null if none was. */
export function selectedPoint(run, name = measureOf(run)) {
  const validated = run.metrics.filter((row) => Number.isFinite(row[`val/${name}`]));
  if (run.selected !== null) return validated.find((row) => row.step === run.selected) ?? null;
  return validated.reduce((best, row) => (best === null || row[`val/${name}`] > best[`val/${name}`] ? row : best), null);
}

/** Return the name of what is validated: the bound, or of an auto-encoder the reconstruction. */
export function measureOf(run) {
  return run.metrics.some((row) => "train/bound" in row || "val/bound" in row) ? "bound" : "reconstruction";
}

/** Return what a training shows as a list of sentences. */
export function findings(run) {
  const name = measureOf(run);
  const sentences = [selection(run, name), gap(run, name), run.verdict ? sentence(run.verdict) : null, information(run)];
  return h("ul", { class: "findings" }, sentences.filter(Boolean).map((text) => h("li", { text })));
}

/** Return the training curve's last value before the selected weights, the validation value there, and their difference. */
export function gapAt(run, name = measureOf(run)) {
  const point = selectedPoint(run, name);
  if (point === null) return null;
  const before = run.metrics.filter((row) => row.step <= point.step && Number.isFinite(row[`train/${name}`]));
  if (!before.length) return null;
  const train = before[before.length - 1][`train/${name}`];
  return { train, validation: point[`val/${name}`], gap: train - point[`val/${name}`] };
}

function selection(run, name) {
  const point = selectedPoint(run, name);
  const steps = run.metrics[run.metrics.length - 1].step;
  if (point === null) return `The training took ${steps.toLocaleString("en")} steps; nothing was validated.`;
  return `The weights of step ${point.step.toLocaleString("en")} of ${steps.toLocaleString("en")} were selected: their validation ${name} is the best, ${shownNumber(point[`val/${name}`])} nats.`;
}

function gap(run, name) {
  const found = gapAt(run, name);
  if (found === null) return null;
  const numbers = `At that step the training ${name} is ${shownNumber(found.train)} nats, ${shownNumber(Math.abs(found.gap))} nats ${found.gap >= 0 ? "above" : "below"} the validation ${name}.`;
  const small = Math.abs(found.gap) < 0.02 * Math.abs(found.validation);
  if (small) return `${numbers} That is less than 2 % of the bound: no sign that the training data are fitted too closely.`;
  return found.gap > 0 ? `${numbers} The model fits the training data better than new data: fewer parameters, fewer steps or more data would narrow the gap.` : `${numbers} The training curve is a mean over earlier weights, and so it lags behind.`;
}

function information(run) {
  const known = run.metrics.filter((row) => Number.isFinite(row["train/kl"]));
  if (!known.length) return null;
  const kl = known[known.length - 1]["train/kl"];
  if (kl < 0.1) return `At the end the KL is ${shownNumber(kl)} nats: the codes carry almost no information, and the model ignores them.`;
  return `At the end the KL is ${shownNumber(kl)} nats, ${shownNumber(kl / Math.LN2, 1)} bits: what a code tells about its observation beyond the prior, on average.`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
