// Which runs have numbers that can be compared, and the difference of their bounds.

import { meanAndError } from "../ui/numbers.js";

/** Return why the bounds of two runs are not comparable, as a sentence; null if they are. */
export function whyNotComparable(a, b) {
  const without = [a, b].find((run) => run.bounds === null);
  if (without) return `${without.title} is an auto-encoder without noise: it has no likelihood of x, and so no bound to compare.`;
  const other = new Map(b.compared);
  const different = a.compared.filter(([name, text]) => other.has(name) && other.get(name) !== text).map(([name, text]) => `${name} (${a.title}: ${text}; ${b.title}: ${other.get(name)})`);
  return different.length ? `The runs differ in ${different.join(" and ")}, so their numbers are not comparable.` : null;
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
