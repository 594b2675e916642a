// What is entered in the Draw view: a row of the data or an empty one, and what was changed of it. The state keeps both.

import { packRuns, unpackRuns } from "../ui/pack.js";

const HIDDEN = 1; // of a pixel: 0 is "as in the row", 2 ... 255 are levels from the lowest to the highest
const LEVELS = 253;

/** Return what is entered: `{ row, base, x, given, hidden }`; row -1 is an empty one, x has NaN where a value is hidden. */
export function readInput(state, run, mayHide) {
  const { data } = run;
  const row = Math.min(data.count - 1, Math.max(-1, Math.round(state.get("draw.row", 0))));
  const base = row < 0 ? emptyRow(data, mayHide) : data.row(row).slice();
  const x = data.image ? readPixels(state.get("draw.pixels", ""), base, data) : readCells(state.get("draw.cells", ""), data.variables, base);
  if (!mayHide) restore(x, base);
  const own = data.given === null ? null : data.givenRows(1, Math.max(0, row));
  const given = own === null ? null : readCells(state.get("draw.given", ""), data.given_variables, own);
  return { row, base, x, given, hidden: x.reduce((count, value) => count + (Number.isNaN(value) ? 1 : 0), 0) };
}

/** Return the keys of the state for an observation x that was made from a row. */
export function written(data, x, base) {
  return data.image ? { "draw.pixels": writePixels(x, base, data) } : { "draw.cells": writeCells(x, data.variables, base) };
}

/** Return the keys of the state for a row as it is; -1 for an empty one. */
export function ofRow(row) {
  return { "draw.row": row, "draw.pixels": null, "draw.cells": null, "draw.given": null };
}

/** Return whether all values of the data are 0 or 1. */
export function isBits(data) {
  data.areBits ??= data.x.every((value) => value === 0 || value === 1 || Number.isNaN(value));
  return data.areBits;
}

function emptyRow(data, mayHide) {
  const row = new Float32Array(data.size);
  if (data.image) return row.fill(data.levels[0]);
  if (mayHide) return row.fill(NaN);
  for (const variable of data.variables) if (variable.kind === "categorical") row[variable.start] = 1;
  return row;
}

/** Values that cannot be hidden are as in the row, also where an address says otherwise. */
function restore(x, base) {
  x.forEach((value, place) => {
    if (Number.isNaN(value)) x[place] = base[place];
  });
}

function writePixels(x, base, data) {
  const [low, high] = data.levels;
  const bytes = Uint8Array.from(x, (value, place) => {
    if (Object.is(value, base[place]) || value === base[place]) return 0;
    return Number.isNaN(value) ? HIDDEN : 2 + Math.round((Math.min(1, Math.max(0, (value - low) / (high - low)))) * LEVELS);
  });
  return bytes.every((byte) => byte === 0) ? null : packRuns(bytes);
}

function readPixels(text, base, data) {
  const bytes = text ? unpackRuns(text, base.length) : null;
  if (bytes === null) return base.slice();
  const [low, high] = data.levels;
  return base.map((value, place) => {
    if (bytes[place] === 0) return value;
    if (bytes[place] === HIDDEN) return NaN;
    const level = low + ((bytes[place] - 2) / LEVELS) * (high - low);
    return data.kind === "count" ? Math.round(level) : level;
  });
}

/** Return the value of a variable: a number, the number of a level, or NaN. */
export function cellOf(variable, x) {
  if (variable.kind !== "categorical") return x[variable.start];
  let best = variable.start;
  for (let place = variable.start; place < variable.stop; place += 1) {
    if (Number.isNaN(x[place])) return NaN;
    if (x[place] > x[best]) best = place;
  }
  return best - variable.start;
}

/** Write the value of a variable into an observation: a number, the number of a level, or NaN. */
export function setCell(variable, x, value) {
  if (variable.kind !== "categorical") {
    x[variable.start] = value;
    return;
  }
  for (let place = variable.start; place < variable.stop; place += 1) {
    x[place] = Number.isNaN(value) ? NaN : Number(place - variable.start === value);
  }
}

/** Return the values that differ from those of a row as text: "2:1,7:?", the number of the variable and its value. */
export function writeCells(x, variables, base) {
  const changed = variables.flatMap((variable, index) => {
    const value = cellOf(variable, x);
    if (Object.is(value, cellOf(variable, base))) return [];
    return [`${index}:${Number.isNaN(value) ? "?" : shortest(value)}`];
  });
  return changed.length ? changed.join(",") : null;
}

/** Return an observation made from a row and a text of `writeCells`; what fits no variable is left out. */
export function readCells(text, variables, base) {
  const x = base.slice();
  for (const part of text.split(",").filter(Boolean)) {
    const [index, value] = part.split(":");
    const variable = variables[Number(index)];
    if (variable && fits(variable, value)) setCell(variable, x, value === "?" ? NaN : Number(value));
  }
  return x;
}

function fits(variable, text) {
  if (text === "?") return true;
  return Boolean(text) && whyNot(variable, Number(text)) === null;
}

/** Return why a number cannot be a value of a variable, in a sentence; null if it can. */
export function whyNot(variable, number) {
  const { name, kind } = variable;
  if (!Number.isFinite(number)) return `${name}: expected a number`;
  if (kind === "unit" && (number < 0 || number > 1)) return `${name}: expected a number from 0 to 1; got ${number}`;
  if (kind === "count" && (number < 0 || !Number.isInteger(number))) return `${name}: expected a whole number from 0 on; got ${number}`;
  if (kind === "binary" && number !== 0 && number !== 1) return `${name}: expected 0 or 1; got ${number}`;
  const count = variable.stop - variable.start;
  if (kind === "categorical" && !(Number.isInteger(number) && number >= 0 && number < count)) return `${name}: expected one of its ${count} levels`;
  return null;
}

/** Return the shortest decimal number that is the same in 32 bits. */
export function shortest(value) {
  for (let digits = 1; digits < 9; digits += 1) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === Math.fround(value)) return text;
  }
  return String(value);
}
