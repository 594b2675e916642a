// The content of the page with its tensors decoded: data and runs, each part on first use.

import { model } from "../engine/model.js";

/** Return `{ title, data: [...], runs: [...] }`: the JSON of the page, in which tensors are arrays and models can compute. */
export function openPage(content, get) {
  const data = content.data.map((entry) => openData(entry, get));
  const runs = content.runs.map((entry, index) => openRun(entry, index, data[entry.data], get));
  return { title: content.title, data, runs };
}

function openData(entry, get) {
  const array = (index) => (index === null ? null : get(index).data);
  const [count, size] = get(entry.rows).shape;
  const x = floats(array(entry.rows));
  let levels = null;
  return {
    ...entry,
    variables: entry.variables.map((variable) => ({ ...variable, range: rangeOf(variable, x, size) })),
    count,
    size,
    x,
    labels: array(entry.labels),
    mean: array(entry.mean),
    given: array(entry.given),
    /** The values that an image shows as paper and as ink: 0 and 1, or the lowest and the highest value of the rows. */
    get levels() {
      levels ??= ["real", "count"].includes(entry.kind) ? extremes(this.x) : [0, 1];
      return levels;
    },
    /** The values of a row, without a copy. */
    row(index) {
      return this.x.subarray(index * size, (index + 1) * size);
    },
    /** What a conditional model is given with n rows from `first` on (the rows repeat), flat; null if it is given nothing. */
    givenRows(n, first = 0) {
      if (this.given === null) return null;
      const width = this.given.length / count;
      const rows = new Float32Array(n * width);
      for (let row = 0; row < n; row += 1) {
        const from = ((first + row) % count) * width;
        rows.set(this.given.subarray(from, from + width), row * width);
      }
      return rows;
    },
  };
}

function openRun(entry, index, data, get) {
  let computed = null;
  let ofRows = null;
  const array = (place) => (place === null ? null : get(place).data);
  return {
    ...entry,
    index,
    data,
    /** The means and the standard deviations of q(z|x) of the rows: stored, or computed on first use. */
    get codes() {
      ofRows ??= openCodes(entry, array, this.model, data);
      return ofRows.codes;
    },
    get spreads() {
      ofRows ??= openCodes(entry, array, this.model, data);
      return ofRows.spreads;
    },
    bounds: array(entry.bounds),
    planes: entry.planes.map((plane) => ({ ...plane, mean: array(plane.mean), axes: array(plane.axes) })),
    get model() {
      computed ??= model(entry.model, get);
      return computed;
    },
  };
}

function openCodes(entry, array, { posterior, code }, { x, count, given }) {
  if (entry.codes !== null) return { codes: array(entry.codes), spreads: array(entry.spreads) };
  const q = posterior(x, count, given);
  return { codes: q.mean(), spreads: code === "real" ? q.stddev() : null };
}

/** The smallest and the largest value of a column of numbers; those of bits, shares and levels are 0 and 1. */
function rangeOf({ kind, start }, x, size) {
  if (kind !== "real" && kind !== "count") return [0, 1];
  let [low, high] = [Infinity, -Infinity];
  for (let place = start; place < x.length; place += size) {
    if (x[place] < low) low = x[place];
    if (x[place] > high) high = x[place];
  }
  return low < high ? [low, high] : [low - 1, low + 1];
}

function extremes(values) {
  let [low, high] = [0, -Infinity]; // 0 is paper, if no value is below it
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return high > low ? [low, high] : [low, low + 1];
}

function floats(array) {
  return array instanceof Float32Array ? array : Float32Array.from(array);
}
