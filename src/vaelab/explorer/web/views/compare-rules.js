// Which runs have numbers that can be compared, and the difference of their bounds.

import { meanAndError } from "../ui/numbers.js";

/** Return why the bounds of two runs are not comparable, as a sentence; null if they are. */
export function whyNotComparable(a, b) {
  const without = [a, b].find((run) => run.bounds === null);
  if (without) return `${without.title} is an auto-encoder without noise: it has no likelihood of x, and so no bound to compare.`;
  const facts = [
    ["data", (run) => `${run.data.name} ${run.data.sha256.slice(0, 12)}`],
    ["split", (run) => run.data.split],
    ["binarisation", (run) => run.data.binarisation],
    ["condition", (run) => run.data.condition ?? "none"],
  ];
  const different = facts.filter(([, read]) => read(a) !== read(b)).map(([name, read]) => `${name} (${a.title}: ${read(a)}, ${b.title}: ${read(b)})`);
  const kinds = [a, b].map(likelihoodOf);
  if (kinds.includes("multinomial") && kinds[0] !== kinds[1]) different.push(`likelihood (${a.title}: ${kinds[0]}, ${b.title}: ${kinds[1]})`);
  return different.length ? `The runs differ in ${different.join(" and ")}, so their numbers are not comparable.` : null;
}

/** Return the name of the likelihood of a run. */
export function likelihoodOf(run) {
  const given = run.data.given ? run.data.givenRows(1) : null;
  return run.model.likelihood(run.model.prior(1).mean(), 1, given).kind;
}

/** Return the differences a - b of the bounds of the page's rows, their mean and its standard error, and that without pairing. */
export function differenceOf(a, b) {
  const differences = Float64Array.from(a.bounds, (bound, row) => bound - b.bounds[row]);
  const apart = Math.hypot(meanAndError(a.bounds).error, meanAndError(b.bounds).error);
  const higher = differences.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
  return { differences, ...meanAndError(differences), apart, higher };
}

/** Return the rows with the largest and those with the smallest differences, the most extreme first. */
export function extremes(differences, count) {
  const order = Array.from(differences.keys()).sort((i, j) => differences[j] - differences[i]);
  const half = Math.min(count, Math.floor(order.length / 2));
  return { largest: order.slice(0, half), smallest: order.slice(order.length - half).reverse() };
}

/** Return in words which rows of the split the page has. */
export function rowsWords(data) {
  const shown = data.count.toLocaleString("en");
  if (data.count === 1) return `${data.total === 1 ? "the only" : "the first"} ${data.split} row of ${data.name}`;
  return data.count === data.total ? `all ${shown} ${data.split} rows of ${data.name}` : `the first ${shown} of the ${data.total.toLocaleString("en")} ${data.split} rows of ${data.name}`;
}
