// A change of an observation: an image in two colours, or the columns that change most as bars to the left and right.

import { h, fill } from "./dom.js";

/** Return a picture of changes, one number per column: `{ element, show(change, { most }) }`; `most` is the change in full colour. */
export function differenceView({ data, theme, label, size = 224, columns = 8 }) {
  return data.image ? imageOf(data, theme, label, size) : barsOf(data, label, columns);
}

/** Return the largest size among some changes, and at least `least`. */
export function largest(change, least = 1e-6) {
  return change.reduce((most, value) => Math.max(most, Math.abs(value)), least);
}

function imageOf(data, theme, label, size) {
  const [height, width] = data.image;
  const canvas = h("canvas", { width, height, role: "img", "aria-label": label, class: "image" });
  canvas.style.width = `${Math.round((width * size) / Math.max(height, width))}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const surface = canvas.getContext("2d");
  const pixels = surface.createImageData(width, height);
  return {
    element: canvas,
    show(change, { most = largest(change) } = {}) {
      paintChange(pixels.data, change, most, theme);
      surface.putImageData(pixels, 0, 0);
    },
  };
}

/** Write the colours of changes into RGBA bytes: from the panel to the colour of more, or of less. */
export function paintChange(bytes, change, most, theme) {
  const [paper, up, down, gap] = ["panel", "up", "down", "gap"].map(theme.rgb);
  for (let place = 0; place < change.length; place += 1) {
    const part = Math.min(1, Math.abs(change[place]) / most);
    const end = change[place] > 0 ? up : down;
    for (let channel = 0; channel < 3; channel += 1) {
      const colour = Number.isNaN(part) ? gap[channel] : paper[channel] + part * (end[channel] - paper[channel]);
      bytes[4 * place + channel] = colour;
    }
    bytes[4 * place + 3] = 255;
  }
}

/** Return the columns of the largest changes, [{ name, value, unit }, ...], without those that do not change. */
export function largestChanges(data, change, most) {
  return [...change.keys()]
    .filter((column) => Math.abs(change[column]) >= 5e-4)
    .sort((a, b) => Math.abs(change[b]) - Math.abs(change[a]))
    .slice(0, most)
    .map((column) => ({ name: data.columns[column], value: change[column], unit: unitOf(variableOf(data, column)) }));
}

function variableOf(data, column) {
  return data.variables.find(({ start, stop }) => start <= column && column < stop);
}

/** Return the unit in which a variable changes, to stand behind a number: standard deviations (sd) of real numbers and counts. */
export function unitOf({ kind }) {
  return kind === "real" || kind === "count" ? " sd" : "";
}

function barsOf(data, label, columns) {
  const element = h("div", { class: "changes", role: "group", "aria-label": label });
  return {
    element,
    show(change, { most = largest(change) } = {}) {
      const found = largestChanges(data, change, columns);
      fill(element, found.length ? found.map((one) => barOf(one, most)) : h("p", { class: "soft", text: "No column changes by 0.001 or more." }));
    },
  };
}

function barOf({ name, value, unit }, most) {
  const bar = h("div", { class: value > 0 ? "more" : "less" });
  bar.style.width = `${50 * Math.min(1, Math.abs(value) / most)}%`;
  return h(
    "div",
    { class: "change" },
    h("span", { class: "name", title: name, text: name }),
    h("div", { class: "balance" }, bar),
    h("span", { class: "value", text: `${signed(value, 3)}${unit}` }),
  );
}

/** Return a number with its sign. */
export function signed(number, digits = 2) {
  const text = Math.abs(number).toFixed(digits);
  return Number(text) === 0 ? text : `${number < 0 ? "\u2212" : "+"}${text}`;
}

/** Return the legend of the two colours of an image: `{ element, show(most) }`; `what` says what they show where no title does. */
export function differenceLegend(what = "") {
  const [low, high] = [h("span", { class: "value" }), h("span", { class: "value" })];
  const element = h("div", { class: "legend" }, low, h("span", { class: "ramp", role: "presentation" }), high, h("span", { class: "soft", text: what }));
  return {
    element,
    show(most) {
      const digits = most < 0.095 ? 3 : 2;
      low.textContent = signed(-most, digits);
      high.textContent = signed(most, digits);
    },
  };
}
