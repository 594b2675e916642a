// Observations of a table side by side: a row for each column of the data, a column for each observation.

import { h } from "./dom.js";
import { briefNumber } from "./numbers.js";
import { shownValue } from "./observation.js";

const MOST = 200; // columns of the data that are shown

/** Return a table of observations: `{ element, show([{ x, start, isMean }, ...]) }`; `headOf(place)` makes what stands above each.
 * With `marks`, levels that differ from those of the first observation are emphasised. Cells are kept and shown anew. */
export function variablesTable({ data, label, headOf, marks = false }) {
  const variables = data.variables.slice(0, MOST);
  const head = h("tr", {}, h("th", { scope: "col", text: "Column" }));
  const rows = variables.map((variable) => h("tr", {}, h("th", { scope: "row", text: variable.name })));
  const table = h("table", { class: "variables-table" }, h("thead", {}, head), h("tbody", {}, rows));
  const left = data.variables.length - variables.length;
  const note = left ? h("p", { class: "soft small", text: `The first ${MOST} of ${data.variables.length} columns.` }) : null;
  const [heads, cells] = [[], variables.map(() => [])];
  const add = () => {
    const place = heads.length;
    heads.push(h("th", { scope: "col" }, headOf(place)));
    head.append(heads[place]);
    rows.forEach((row, index) => row.append((cells[index][place] = h("td"))));
  };
  const drop = () => {
    heads.pop().remove();
    cells.forEach((row) => row.pop().remove());
  };
  return {
    element: h("div", { class: "variables" }, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table), note),
    show(observations) {
      while (heads.length < observations.length) add();
      while (heads.length > observations.length) drop();
      variables.forEach((variable, index) => observations.forEach((each, place) => {
        const cell = cells[index][place];
        showCell(cell, variable, each);
        if (marks && place) cell.classList.toggle("differs", differs(variable, each, observations[0]));
      }));
    },
  };
}

function showCell(cell, variable, { x, start = 0, isMean = false }) {
  const text = cellText(variable, x, start, isMean);
  if (cell.textContent !== text) cell.textContent = text;
  cell.style.setProperty("--part", `${Math.round(100 * partOf(variable, x.subarray(start, start + variable.stop), isMean))}%`);
}

/** The length of the bar of a cell: of a named level its probability, none where it is certain; else as everywhere. */
function partOf(variable, x, isMean) {
  const { part } = shownValue(variable, x);
  if (!variable.levels) return part;
  if (!isMean) return 0;
  return variable.kind === "binary" ? Math.max(part, 1 - part) : part;
}

function differs(variable, a, b) {
  const known = (each) => !Number.isNaN(each.x[(each.start ?? 0) + variable.start]);
  if (!hasLevels(variable) || !known(a) || !known(b)) return false;
  return levelOf(variable, a.x, a.start) !== levelOf(variable, b.x, b.start);
}

/** Return whether the values of a variable are levels: of a binary or a categorical column. */
export function hasLevels(variable) {
  return variable.kind === "binary" || variable.kind === "categorical";
}

/** Return the place of the most probable level of a variable in a row that starts at a place. */
export function levelOf(variable, x, start = 0) {
  if (variable.kind !== "categorical") return x[start + variable.start] > 0.5 ? 1 : 0;
  let best = variable.start;
  for (let place = variable.start; place < variable.stop; place += 1) if (x[start + place] > x[start + best]) best = place;
  return best - variable.start;
}

/** Return one value of a row in words: a level, with its probability where the row is a mean, or a number. */
export function cellText(variable, x, start = 0, isMean = false) {
  const value = x[start + variable.start];
  if (Number.isNaN(value)) return "not observed";
  if (variable.kind === "binary" && !isMean) return variable.levels ? variable.levels[levelOf(variable, x, start)] : String(value);
  if (hasLevels(variable)) return shownValue(variable, x.subarray(start, start + variable.stop)).text;
  return briefNumber(Number(value.toPrecision(3)));
}

/** Return whether two data have columns of the same names and sizes. */
export function hasColumnsOf(data, other) {
  if (data === other) return true;
  const same = data.size === other.size && data.variables.length === other.variables.length;
  return same && data.variables.every((variable, place) => variable.name === other.variables[place].name);
}
