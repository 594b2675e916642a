// One observation: an image on a canvas, or the columns of a table as bars with their names and levels.

import { h } from "./dom.js";
import { briefNumber } from "./numbers.js";

const MOST = 200; // columns of a table that are shown

/** Return a picture of observations of some data: `{ element, show(x, { before, missing }) }`. x has one number per column, in [0, 1] for bits.
 * `before`: another observation; what differs from it by more than a half is coloured. `missing`: 1 where a value is not observed. */
export function observationView({ data, theme, label, size = 224 }) {
  return data.image ? imageView(data, theme, label, size) : barsView(data, label);
}

function imageView(data, theme, label, size) {
  const [height, width] = data.image;
  const canvas = h("canvas", { width, height, role: "img", "aria-label": label, class: "image" });
  const scale = size / Math.max(height, width);
  canvas.style.width = `${Math.round(width * scale)}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const surface = canvas.getContext("2d");
  const pixels = surface.createImageData(width, height);
  const levels = data.levels ?? [0, 1];
  return {
    element: canvas,
    show(x, { before = null, missing = null } = {}) {
      paint(pixels.data, inLevels(x, levels), theme, before && inLevels(before, levels), missing);
      surface.putImageData(pixels, 0, 0);
    },
  };
}

/** Return values as shares of the way from paper (0) to ink (1). */
export function inLevels(x, [low, high]) {
  return low === 0 && high === 1 ? x : x.map((value) => (value - low) / (high - low));
}

/** Write the colours of an image into RGBA bytes. */
export function paint(bytes, x, theme, before = null, missing = null) {
  const [paper, ink, up, down, gap] = ["image-paper", "image-ink", "up", "down", "gap"].map(theme.rgb);
  for (let place = 0; place < x.length; place += 1) {
    const value = Math.min(1, Math.max(0, x[place]));
    const moved = before === null ? 0 : x[place] - before[place];
    const end = Math.abs(moved) > 0.5 ? (moved > 0 ? up : down) : ink;
    const part = Math.abs(moved) > 0.5 ? 1 : value;
    const hidden = (missing !== null && missing[place]) || Number.isNaN(x[place]);
    for (let channel = 0; channel < 3; channel += 1) {
      bytes[4 * place + channel] = hidden ? gap[channel] : paper[channel] + part * (end[channel] - paper[channel]);
    }
    bytes[4 * place + 3] = 255;
  }
}

function barsView(data, label) {
  const rows = data.variables.slice(0, MOST).map((variable) => barOf(variable));
  const left = data.variables.length - rows.length;
  const note = left > 0 ? h("p", { class: "soft small", text: `The first ${MOST} of ${data.variables.length} columns.` }) : null;
  const element = h("div", { class: "bars", role: "group", "aria-label": label }, rows.map((row) => row.element), note);
  return {
    element,
    show(x, { before = null, missing = null } = {}) {
      rows.forEach((row, place) => row.show(x, before, missing, data.variables[place]));
    },
  };
}

function barOf(variable) {
  const bar = h("div", { class: "bar" });
  const value = h("span", { class: "value" });
  const element = h("div", { class: "bar-row" }, h("span", { class: "name", title: variable.name, text: variable.name }), h("div", { class: "track" }, bar), value);
  return {
    element,
    show(x, before, missing) {
      const { part, text } = shownValue(variable, x);
      bar.style.width = `${100 * part}%`;
      value.textContent = missing && missing[variable.start] ? "not observed" : text;
      element.classList.toggle("changed", before !== null && Math.abs(x[variable.start] - before[variable.start]) > 0.5);
      element.classList.toggle("missing", Boolean(missing && missing[variable.start]) || Number.isNaN(x[variable.start]));
    },
  };
}

/** Return the length of a bar in [0, 1] (of a number: between the smallest and the largest of the rows) and the text beside it for one variable of an observation. */
export function shownValue(variable, x) {
  const value = x[variable.start];
  if (Number.isNaN(value)) return { part: 0, text: "not observed" };
  if (variable.kind === "categorical") {
    let best = variable.start;
    for (let place = variable.start; place < variable.stop; place += 1) if (x[place] > x[best]) best = place;
    return { part: Math.min(1, x[best]), text: withShare(variable.levels[best - variable.start], x[best]) };
  }
  if (variable.kind === "binary") {
    if (!variable.levels) return { part: value, text: value === 0 || value === 1 ? String(value) : value.toFixed(2) };
    return { part: value, text: value > 0.5 ? withShare(variable.levels[1], value) : withShare(variable.levels[0], 1 - value) };
  }
  const [low, high] = variable.range ?? [0, 1];
  return { part: Math.min(1, Math.max(0, (value - low) / (high - low))), text: briefNumber(Number(value.toPrecision(3))) };
}

/** A level, with its probability unless that is 1. */
function withShare(level, share) {
  return share === 1 ? level : `${level} ${share.toFixed(2)}`;
}
