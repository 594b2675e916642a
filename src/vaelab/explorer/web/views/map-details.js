// Beside the map: what is decoded under the cursor, and a row with its reconstruction.

import { fill, h, setText } from "../ui/dom.js";
import { shortNumber } from "../ui/geometry.js";
import { observationView } from "../ui/observation.js";

const MOST = 60; // columns of a table that are shown while the cursor moves

/** Return three observations side by side: `show([{ title, text, x, row }, ...])`, row the number of a row of the data. */
export function openDetails({ data, theme, titles, order }) {
  return data.image ? imageDetails(data, theme, titles) : tableDetails(data, titles, order);
}

function imageDetails(data, theme, titles) {
  const slots = titles.map((title, place) => {
    const view = observationView({ data, theme, label: title, size: place === 0 ? 224 : 104 });
    const heading = h("h3", { text: title });
    const text = h("p", { class: "small soft" });
    const words = place === 0 ? [heading, view.element, h("figcaption", {}, text)] : [view.element, h("figcaption", {}, heading, text)];
    return { heading, text, view, element: h("figure", {}, words) };
  });
  const element = h("div", { class: "map-details" }, slots.map((slot) => slot.element));
  return {
    element,
    show(shown) {
      shown.forEach(({ title, text, x, row = null }, place) => {
        const slot = slots[place];
        setText(slot.heading, title);
        setText(slot.text, text);
        if (row !== null && slot.row === row) return;
        slot.row = row;
        slot.view.element.setAttribute("aria-label", row === null ? title : `${title}, row ${row}`);
        slot.view.show(x);
      });
    },
  };
}

function tableDetails(data, titles, order) {
  const variables = order.slice(0, MOST).map((place) => data.variables[place]);
  const heads = titles.map((title) => h("th", { scope: "col", text: title }));
  const texts = titles.map(() => h("p", { class: "small soft map-caption" }));
  const lines = variables.map((variable) => lineOf(data, variable, titles.length));
  const left = data.variables.length - variables.length;
  const note = left > 0 ? h("p", { class: "small soft", text: `The ${MOST} of ${data.variables.length} columns whose decoded value differs most between rows.` }) : null;
  const table = h("table", { class: "map-table" }, h("colgroup", {}, h("col", { class: "map-name" }), h("col", { class: "map-here" }), h("col"), h("col")), h("thead", {}, h("tr", {}, h("th", { scope: "col", text: "column" }), heads)), h("tbody", {}, lines.map((line) => line.element)));
  const element = h("div", {}, h("div", { class: "map-texts" }, texts), h("div", { class: "scroll map-table-box", tabindex: "0", role: "region", "aria-label": "Columns" }, table), note);
  return {
    element,
    show(shown) {
      shown.forEach(({ title, text }, place) => {
        setText(heads[place], title);
        setText(texts[place], `${title}: ${text}`);
      });
      lines.forEach((line) => line.show(shown.map(({ x }) => x)));
    },
  };
}

function lineOf(data, variable, count) {
  const [low, high] = rangeOf(data, variable);
  const bar = h("div", { class: "bar" });
  const values = Array.from({ length: count }, () => h("span", { class: "value" }));
  const cells = values.map((value, place) => h("td", {}, place === 0 ? h("div", { class: "map-cell" }, h("div", { class: "track" }, bar), value) : value));
  return {
    element: h("tr", {}, h("th", { scope: "row", title: variable.name, text: shortName(variable.name, 40) }), cells),
    show(observations) {
      observations.forEach((x, place) => {
        setText(values[place], valueText(variable, x));
      });
      const part = (likeliest(variable, observations[0]).value - low) / (high - low || 1);
      bar.style.width = `${100 * Math.min(1, Math.max(0, part))}%`;
    },
  };
}

function rangeOf(data, variable) {
  if (variable.kind === "binary" || variable.kind === "categorical" || variable.kind === "unit") return [0, 1];
  let [low, high] = [Infinity, -Infinity];
  for (let row = 0; row < data.count; row += 1) {
    const value = data.x[row * data.size + variable.start];
    if (Number.isNaN(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [Math.min(0, low), high] : [0, 1];
}

function likeliest(variable, x) {
  let place = variable.start;
  for (let other = variable.start; other < variable.stop; other += 1) if (x[other] > x[place]) place = other;
  return { level: place - variable.start, value: x[place] };
}

/** Return a name, of at most so many signs. */
export function shortName(name, most) {
  return name.length > most ? `${name.slice(0, most - 1).trim()}…` : name;
}

/** Return the value of a variable in words: of an observation a level or a number, of means also the probability. */
export function valueText(variable, x) {
  const { level, value } = likeliest(variable, x);
  if (Number.isNaN(value)) return "not observed";
  if (variable.kind === "categorical") return withChance(variable.levels?.[level] ?? String(level), value);
  if (variable.kind !== "binary") return shortNumber(value);
  if (!variable.levels) return value === 0 || value === 1 ? String(value) : value.toFixed(2);
  return value > 0.5 ? withChance(variable.levels[1], value) : withChance(variable.levels[0], 1 - value);
}

function withChance(level, chance) {
  return chance === 1 ? level : `${level} ${chance.toFixed(2)}`;
}

/** Return the places of the variables of a table; of many, those first whose decoded value differs most between rows. */
export function orderOfVariables({ data, model, codes }) {
  const places = data.variables.map((_, place) => place);
  if (places.length <= MOST) return places;
  const n = Math.min(64, data.count);
  const settle = model.code === "bits" ? (p) => (p > 0.5 ? 1 : 0) : (value) => value;
  const x = model.decode(codes.slice(0, n * model.dim).map(settle), n, data.givenRows(n));
  const spread = data.variables.map(({ start, stop }) => {
    let most = 0;
    for (let column = start; column < stop; column += 1) most = Math.max(most, ratioOf(x, data.x, n, data.size, column));
    return most;
  });
  return places.sort((a, b) => spread[b] - spread[a]);
}

/** Return the variance of a decoded column over that of the observed one. */
function ratioOf(decoded, observed, n, width, column) {
  const variance = (numbers) => {
    const values = Array.from({ length: n }, (_, row) => numbers[row * width + column]).filter((value) => !Number.isNaN(value));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  };
  return variance(decoded) / (variance(observed) || Infinity);
}

/** Return a line of small pictures of observations, each a button if `onClick(place)` is given. */
export function thumbnails({ data, theme, rows, label, size = 56, onClick = null }) {
  const made = rows.map((x, place) => {
    const view = observationView({ data, theme, label: label(place), size });
    view.show(x);
    if (!onClick) return view.element;
    return h("button", { type: "button", class: "map-thumb", title: label(place), onclick: () => onClick(place) }, view.element);
  });
  return fill(h("div", { class: "map-thumbs" }), made);
}
