// The samples of one kind: a square of images, or a table with a column for each sample. Cells are kept and shown anew.

import { fill, h } from "../ui/dom.js";
import { briefNumber } from "../ui/numbers.js";
import { observationView, shownValue } from "../ui/observation.js";
import { levelOf } from "./sample_draws.js";

const MOST_COLUMNS = 200; // of a table; the CSV file has all

/** Return a panel of samples: `{ element, canvases(), show(x, n, picked) }`; `onpick(place)` is called where one is chosen. */
export function samplePanel({ data, theme, title, kind, onpick }) {
  return data.image ? imagePanel({ data, theme, title, onpick }) : tablePanel({ data, title, kind, onpick });
}

function imagePanel({ data, theme, title, onpick }) {
  const cells = [];
  const grid = h("div", { class: "sample-grid", role: "group", "aria-label": `${title}. The arrow keys choose a sample.` });
  grid.addEventListener("keydown", (event) => moveInGrid(event, cells, onpick));
  const cellOf = (place) => {
    const view = observationView({ data, theme, label: `${title}, sample ${place + 1}`, size: 28 });
    view.element.style.width = "100%";
    return { view, button: h("button", { type: "button", class: "sample-cell", "aria-label": `${title}, sample ${place + 1}`, onclick: () => onpick(place) }, view.element) };
  };
  return {
    element: h("section", { class: "sample-panel" }, h("h2", { text: title }), grid),
    canvases: () => cells.map((cell) => cell.view.element),
    show(x, n, picked) {
      while (cells.length < n) cells.push(cellOf(cells.length));
      if (grid.childElementCount !== n) {
        cells.length = n;
        fill(grid, cells.map((cell) => cell.button));
        grid.style.gridTemplateColumns = `repeat(${Math.ceil(Math.sqrt(n))}, 1fr)`;
      }
      cells.forEach((cell, place) => {
        cell.view.show(x.subarray(place * data.size, (place + 1) * data.size));
        cell.button.setAttribute("aria-pressed", String(place === picked));
        cell.button.tabIndex = place === picked ? 0 : -1;
      });
    },
  };
}

function moveInGrid(event, cells, onpick) {
  const columns = Math.ceil(Math.sqrt(cells.length));
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const now = cells.findIndex((cell) => cell.button === document.activeElement);
  if (!step || now < 0) return;
  event.preventDefault();
  const next = now + step;
  if (next < 0 || next >= cells.length) return;
  cells[next].button.focus();
  onpick(next);
}

function tablePanel({ data, title, kind, onpick }) {
  const variables = data.variables.slice(0, MOST_COLUMNS);
  const head = h("tr", {}, h("th", { scope: "col", text: "Column" }));
  const rows = variables.map((variable) => h("tr", {}, h("th", { scope: "row", text: variable.name })));
  const table = h("table", { class: "sample-table" }, h("thead", {}, head), h("tbody", {}, rows));
  const left = data.variables.length - variables.length;
  const note = left ? h("p", { class: "soft small", text: `The first ${MOST_COLUMNS} of ${data.variables.length} columns; the CSV file has all.` }) : null;
  const heads = [];
  const cells = variables.map(() => []);
  const add = (place) => {
    const button = h("button", { type: "button", class: "sample-number", text: String(place + 1), "aria-label": `${title}, sample ${place + 1}`, onclick: () => onpick(place) });
    heads.push(button);
    head.append(h("th", { scope: "col" }, button));
    rows.forEach((row, index) => row.append((cells[index][place] = h("td"))));
  };
  return {
    element: h("section", { class: "sample-panel of-table" }, h("h2", { text: title }), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, table), note),
    canvases: () => [],
    show(x, n, picked) {
      while (heads.length < n) add(heads.length);
      while (heads.length > n) {
        heads.pop().parentElement.remove();
        cells.forEach((row) => row.pop().remove());
      }
      heads.forEach((button, place) => {
        button.setAttribute("aria-pressed", String(place === picked));
        variables.forEach((variable, index) => show(cells[index][place], variable, x, place * data.size, kind));
      });
    },
  };
}

function show(cell, variable, x, start, kind) {
  const text = cellText(variable, x, start, kind);
  if (cell.textContent !== text) cell.textContent = text;
  const { part } = shownValue(variable, x.subarray(start, start + variable.stop));
  cell.style.setProperty("--part", `${Math.round(100 * (variable.kind === "categorical" && kind !== "mean" ? 0 : part))}%`);
}

/** Return one value of a row in words: a level, with its probability where the row is a mean, or a number. */
export function cellText(variable, x, start, kind) {
  const value = x[start + variable.start];
  if (variable.kind === "binary" && kind !== "mean") return variable.levels ? variable.levels[levelOf(variable, x, start)] : String(value);
  if (variable.kind === "binary" || variable.kind === "categorical") return shownValue(variable, x.subarray(start, start + variable.stop)).text;
  return briefNumber(Number(value.toPrecision(3)));
}

/** Return samples as rows of a CSV file: levels by name; of means, a column for each probability. */
export function tableOfSamples(data, x, n, kind) {
  const plain = kind === "mean" || !data.variables.length;
  const head = plain ? (data.columns ?? Array.from({ length: data.size }, (_, place) => `column ${place + 1}`)) : data.variables.map((variable) => variable.name);
  const rows = Array.from({ length: n }, (_, row) => {
    const start = row * data.size;
    if (plain) return Array.from(x.subarray(start, start + data.size));
    return data.variables.map((variable) => (variable.kind === "categorical" || variable.kind === "binary" ? cellText(variable, x, start, kind) : x[start + variable.start]));
  });
  return [head, ...rows];
}
