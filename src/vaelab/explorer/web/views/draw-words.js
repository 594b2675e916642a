// Sentences of the Draw view, computed from what is entered.

/** Return a number of nats with its sign, for reading: "−182.3". */
export function nats(value) {
  const size = Math.abs(value);
  const text = size.toFixed(size < 9.95 ? 2 : 1);
  return (value < 0 && Number(text) !== 0 ? "\u2212" : "") + text;
}

/** Return a number with two decimals and a true minus sign. */
export function signed(value) {
  return value.toFixed(2).replace("-", "\u2212");
}

/** Return a share as text: "97 %", "0.5 %", "all", "none". */
export function percent(share) {
  const number = 100 * share;
  if (share <= 0) return "none";
  if (share >= 1) return "all";
  if (number > 99 || number < 1) return `${number.toFixed(number > 99.9 || number < 0.1 ? 2 : 1)}\u00a0%`;
  return `${Math.round(number)}\u00a0%`;
}

/** Return a whole number with commas. */
export function counted(number, one, several = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : several}`;
}

/** Return the share of rows whose value is lower. */
export function shareBelow(values, value) {
  return values.reduce((count, other) => count + (other < value ? 1 : 0), 0) / values.length;
}

/** What it says of a bound that a share of the rows has lower ones: up to each share, the words. */
export const BOUNDS = [
  [0.01, "the model finds it very unusual."],
  [0.05, "the model finds it unusual."],
  [0.25, "less typical than most rows."],
  [0.75, "the model finds it typical."],
  [0.98, "the model finds it easier than most rows."],
  [1, "easier than nearly all rows, as simple patterns often are."],
];

/** The same of the density of a code. */
export const DENSITIES = [
  [0.01, "hardly any rows have codes there."],
  [0.05, "few rows have codes there."],
  [0.25, "fewer rows have codes there than near most codes."],
  [0.75, "a usual place for a code."],
  [1, "many rows have codes there."],
];

/** Return what a value says beside those of the rows; `name` says what it is, more of it is more typical. */
export function typicality(name, value, { values, rows }, verdicts) {
  const below = shareBelow(values, value);
  const above = shareBelow(values.map((other) => -other), -value);
  const place = below < above ? `lower than that of ${percent(above)}` : `higher than that of ${percent(below)}`;
  if (below === 0 && above === 0) return `Its ${name} is ${nats(value)} nats, as is that of each of the ${rows}.`;
  const middle = (below + 1 - above) / 2; // the rows with the same value count by half
  const verdict = verdicts.find(([share]) => middle < share) ?? verdicts.at(-1);
  return `Its ${name} is ${nats(value)} nats, ${place} of the ${rows}: ${verdict[1]}`;
}

/** Return what the effective samples of K codes say. */
export function effectiveWords(effective, samples) {
  const shown = effective < 9.95 ? effective.toFixed(1) : Math.round(effective);
  const start = `${shown} of ${samples.toLocaleString("en")} codes count (effective samples).`;
  return effective < 10 ? `${start} That is few: the filled values rest on so few codes that another seed changes them. Take more codes, or hide less.` : start;
}

/** Return what the code says: of bits how many are undecided, of numbers how it lies among those of the rows. */
export function codeWords(model, mean, codes, count, rows) {
  if (model.code === "bits") {
    const open = mean.reduce((total, p) => total + (p > 0.1 && p < 0.9 ? 1 : 0), 0);
    return `${open} of ${counted(model.dim, "bit")} ${open === 1 ? "is" : "are"} undecided: probability between 0.1 and 0.9.`;
  }
  const size = (codesOf, row) => Math.hypot(...codesOf.subarray(row * model.dim, (row + 1) * model.dim));
  const own = size(mean, 0);
  const sizes = Float64Array.from({ length: count }, (_, row) => size(codes, row));
  const far = shareBelow(sizes, own);
  const near = shareBelow(sizes.map((other) => -other), -own);
  if (far === 0 && near === 0) return `Its code is as far from 0 as those of the ${rows}.`;
  const place = far > near ? `farther from 0 than ${percent(far)}` : `nearer to 0 than ${percent(near)}`;
  const remark = far > 0.99 ? " Few rows have codes there." : "";
  return `Its code lies ${place} of those of the ${rows}.${remark}`;
}

/** Return the row whose code is nearest to a code, by the Euclidean distance. */
export function nearestCode(mean, codes, count) {
  let [best, least] = [0, Infinity];
  for (let row = 0; row < count; row += 1) {
    let distance = 0;
    for (let place = 0; place < mean.length; place += 1) distance += (codes[row * mean.length + place] - mean[place]) ** 2;
    if (distance < least) [best, least] = [row, distance];
  }
  return best;
}

/** Return the row whose value is nearest. */
export function nearestValue(values, value) {
  let best = 0;
  values.forEach((other, row) => {
    if (Math.abs(other - value) < Math.abs(values[best] - value)) best = row;
  });
  return best;
}
