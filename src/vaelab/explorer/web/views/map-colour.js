// What the points of the map are coloured by: classes with a mark each, or numbers on a scale.

import { fill, h } from "../ui/dom.js";
import { shortNumber } from "../ui/geometry.js";
import { drawMark, shapeOf } from "../ui/markers.js";

/** Return what points can be coloured by: `[{ key, title, open() }]`, open() -> classes `{ names, of }` or numbers `{ values, unit }`. */
export function colourings(run) {
  const { data, model } = run;
  const found = [];
  if (data.labels) found.push({ key: "class", title: "class", open: () => ({ names: data.classes, of: data.labels }) });
  if (model.prior(1).kind === "mixture") found.push({ key: "component", title: "component of the mixture", open: () => componentsOf(run) });
  if (run.bounds) found.push({ key: "bound", title: "bound (how typical a row is)", open: () => ({ values: run.bounds, unit: "nats", about: "the lower bound on log p(x): a row with a low one is unusual for the model" }) });
  if (run.spreads) found.push({ key: "spread", title: "uncertainty of the code", open: () => ({ values: rowMeans(run.spreads, model.dim), unit: "mean standard deviation of q(z|x)" }) });
  if (data.image) found.push({ key: "mean", title: "mean of the pixels", open: () => ({ values: rowMeans(data.x, data.size), unit: "" }) });
  if (data.may_be_missing) found.push({ key: "missing", title: "number of missing values", open: () => ({ values: missingOf(data), unit: "columns" }) });
  data.variables.forEach((variable, place) => {
    found.push({ key: `v${place}`, title: variable.name, open: () => variableOf(data, variable) });
  });
  return found.length ? found : [{ key: "none", title: "nothing", open: () => ({ names: ["rows"], of: new Int32Array(data.count) }) }];
}

function componentsOf({ model, codes, data }) {
  const chances = model.prior(data.count).responsibilities(codes);
  const count = chances.length / data.count;
  const of = Int32Array.from({ length: data.count }, (_, row) => {
    let best = 0;
    for (let c = 1; c < count; c += 1) if (chances[row * count + c] > chances[row * count + best]) best = c;
    return best;
  });
  return { names: Array.from({ length: count }, (_, c) => `component ${c + 1}`), of };
}

function rowMeans(numbers, width) {
  const rows = numbers.length / width;
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    let seen = 0;
    for (let place = row * width; place < (row + 1) * width; place += 1) {
      if (Number.isNaN(numbers[place])) continue;
      sum += numbers[place];
      seen += 1;
    }
    return sum / seen;
  });
}

/** Return how many of the user's columns are missing in each row. */
function missingOf(data) {
  const starts = data.variables.length ? data.variables.map((variable) => variable.start) : Array.from({ length: data.size }, (_, place) => place);
  return Float32Array.from({ length: data.count }, (_, row) => starts.filter((start) => Number.isNaN(data.x[row * data.size + start])).length);
}

function variableOf(data, { name, kind, levels, start, stop }) {
  const at = (row, place) => data.x[row * data.size + place];
  const rows = { length: data.count };
  if (kind !== "binary" && kind !== "categorical") return { values: Float32Array.from(rows, (_, row) => at(row, start)), unit: name };
  const names = levels ?? ["0", "1"];
  const of = Int32Array.from(rows, (_, row) => {
    if (Number.isNaN(at(row, start))) return names.length;
    if (kind === "binary") return at(row, start) > 0.5 ? 1 : 0;
    let best = start;
    for (let place = start; place < stop; place += 1) if (at(row, place) > at(row, best)) best = place;
    return best - start;
  });
  return { names: of.includes(names.length) ? [...names, "not observed"] : names, of };
}

const MOST = 100; // classes of a legend
const STEPS = 32;
const RAMP = 5; // colours --ramp-0 ... --ramp-4 of the style sheet

/** Return how a colouring is drawn in a theme: `{ look(row) -> { colour, shape, hollow, group }, names, counts, low, high, ... }`. */
export function openColouring(coloured, theme) {
  return coloured.names ? openClasses(coloured, theme) : openScale(coloured, theme);
}

function openClasses({ names, of }, theme) {
  const looks = names.map((_, group) => ({ colour: theme.classColour(group), shape: shapeOf(group), hollow: false, group }));
  const counts = new Int32Array(names.length);
  of.forEach((group) => {
    counts[group] += 1;
  });
  return { names, of, counts, looks, look: (row) => looks[of[row]] };
}

function openScale({ values, unit, about = "" }, theme) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const quantile = (share) => (sorted.length ? sorted[Math.round(share * (sorted.length - 1))] : 0);
  const [low, high] = [quantile(0.02), quantile(0.98)];
  const ramp = Array.from({ length: RAMP }, (_, step) => theme.rgb(`ramp-${step}`));
  const looks = Array.from({ length: STEPS }, (_, step) => ({ colour: mixed(ramp, step / (STEPS - 1)), shape: 0, hollow: false, group: 0 }));
  const missing = { colour: theme.colour("soft"), shape: 0, hollow: true, group: 0 };
  const look = (row) => {
    if (Number.isNaN(values[row])) return missing;
    const part = high > low ? (values[row] - low) / (high - low) : 0.5;
    return looks[Math.round(Math.min(1, Math.max(0, part)) * (STEPS - 1))];
  };
  return { names: null, values, unit, about, low, high, missing: values.length - sorted.length, looks, look, ends: [sorted[0] < low, sorted[sorted.length - 1] > high] };
}

function mixed(ramp, part) {
  const place = Math.min(RAMP - 2, Math.floor(part * (RAMP - 1)));
  const rest = part * (RAMP - 1) - place;
  const channels = [0, 1, 2].map((channel) => Math.round(ramp[place][channel] * (1 - rest) + ramp[place + 1][channel] * rest));
  return `rgb(${channels.join(", ")})`;
}

/** Return the legend: buttons that switch classes on and off, or the scale; `off` are the classes that are not shown. */
export function openLegend({ theme, onToggle, onAll }) {
  const element = h("div", { class: "map-legend" });
  return {
    element,
    show(drawn, off) {
      element.classList.toggle("scale", !drawn.names);
      if (drawn.names) fill(element, classButtons(drawn, off, theme, onToggle), allButton(off, onAll));
      else fill(element, scaleOf(drawn));
    },
  };
}

function allButton(off, onAll) {
  return h("button", { type: "button", class: "map-all", onclick: onAll, disabled: off.size === 0, text: "Show all" });
}

function classButtons({ names, counts, looks }, off, theme, onToggle) {
  if (names.length > MOST) return h("p", { class: "small soft", text: `${names.length} classes are too many to list and to distinguish by colour.` });
  return names.map((name, group) =>
    h(
      "button",
      { type: "button", "aria-pressed": String(!off.has(group)), class: "map-class", "data-group": group, onclick: () => onToggle(group), title: `${name}: ${counts[group]} rows` },
      markOf(looks[group], theme),
      h("span", { class: "map-class-name", text: name }),
      h("span", { class: "soft small", text: String(counts[group]) }),
    ),
  );
}

function markOf(look, theme) {
  const canvas = h("canvas", { width: 36, height: 36, class: "map-mark", "aria-hidden": "true" });
  drawMark(canvas.getContext("2d"), { ...look, x: 18, y: 18, radius: 11, edge: theme.colour("panel") });
  return canvas;
}

function scaleOf({ low, high, unit, about, looks, missing, ends }) {
  const canvas = h("canvas", { width: STEPS, height: 1, class: "map-ramp", role: "img", "aria-label": `Scale from ${shortNumber(low)} to ${shortNumber(high)} ${unit}` });
  const surface = canvas.getContext("2d");
  looks.forEach((look, step) => {
    surface.fillStyle = look.colour;
    surface.fillRect(step, 0, 1, 1);
  });
  const marks = [[low, ends[0] ? "≤ " : ""], [(low + high) / 2, ""], [high, ends[1] ? "≥ " : ""]];
  const numbers = h("div", { class: "map-ramp-numbers" }, marks.map(([value, sign]) => h("span", { text: sign + shortNumber(value) })));
  const gone = missing ? `; ${missing} rows without a value are rings` : "";
  return [h("div", { class: "map-scale" }, canvas, numbers), h("div", { class: "small soft", text: `${unit}${about ? `${unit ? "; " : ""}${about}` : ""}${gone}` })];
}
