// The samples of one kind: a square of images, or a table with a column for each sample. Cells are kept and shown anew.

import { cellText, variablesTable, hasLevels } from "../ui/variables.js";
import { fill, h } from "../ui/dom.js";
import { observationView } from "../ui/observation.js";

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
  const buttons = [];
  const headOf = (place) => (buttons[place] = h("button", { type: "button", class: "sample-number", text: String(place + 1), "aria-label": `${title}, sample ${place + 1}`, onclick: () => onpick(place) }));
  const table = variablesTable({ data, label: title, headOf });
  return {
    element: h("section", { class: "sample-panel of-table" }, h("h2", { text: title }), table.element),
    canvases: () => [],
    show(x, n, picked, isMean = kind === "mean") {
      table.show(Array.from({ length: n }, (_, place) => ({ x, start: place * data.size, isMean })));
      buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(place === picked)));
    },
  };
}

/** Return samples as rows of a CSV file: levels by name; of means, a column for each probability. */
export function tableOfSamples(data, x, n, kind) {
  const plain = kind === "mean";
  const head = plain ? data.columns : data.variables.map((variable) => variable.name);
  const rows = Array.from({ length: n }, (_, row) => {
    const start = row * data.size;
    if (plain) return Array.from(x.subarray(start, start + data.size));
    return data.variables.map((variable) => (hasLevels(variable) ? cellText(variable, x, start) : x[start + variable.start]));
  });
  return [head, ...rows];
}
