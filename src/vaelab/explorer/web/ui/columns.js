// Observations of a table side by side: a row for each variable, a column for each observation, and what changes.

import { largest, signed, unitOf } from "./difference.js";
import { fill, h } from "./dom.js";
import { shownValue } from "./observation.js";

const MOST = 100; // variables that are shown at once

/** Return such a table: `{ element, show(observations, change) }`; `heads` are their titles, the last one that of the change if there is one. */
export function columnsTable({ data, heads, label }) {
  const body = h("tbody");
  const head = h("tr", {}, h("td"), heads.map((text) => h("th", { scope: "col", text })));
  const table = h("table", { class: "columns" }, h("thead", {}, head), body);
  const note = h("p", { class: "soft small" });
  const box = h("div", { class: "scroll columns-box", tabindex: "0", role: "region", "aria-label": label }, table);
  return {
    element: data.variables.length > MOST ? h("div", {}, note, box) : box,
    show(observations, change = null) {
      const most = change === null ? 1 : largest(change, 0.01);
      note.textContent = `${MOST} of ${data.variables.length} columns: the ${change === null ? "first" : "ones that change most"}.`;
      fill(body, chosen(data.variables, change).map((variable) => {
        const cells = observations.map((x) => valueCell(variable, x));
        return h("tr", {}, h("th", { scope: "row", title: variable.name, text: variable.name }), cells, change === null ? null : changeCell(variable, change, most));
      }));
    },
  };
}

/** All variables; of very many those that change most, or the first if nothing does, in their own order. */
function chosen(variables, change) {
  if (variables.length <= MOST) return variables;
  const size = (variable) => (change === null ? 0 : Math.abs(change[placeOfChange(variable, change)]));
  const kept = new Set([...variables].sort((one, other) => size(other) - size(one)).slice(0, MOST));
  return variables.filter((variable) => kept.has(variable));
}

function placeOfChange({ start, stop }, change) {
  let place = start;
  for (let column = start; column < stop; column += 1) if (Math.abs(change[column]) > Math.abs(change[place])) place = column;
  return place;
}

function valueCell(variable, x) {
  const { part, text } = shownValue(variable, x);
  const cell = h("td", {}, h("span", { text }));
  cell.style.setProperty("--part", `${100 * part}%`);
  return cell;
}

/** The largest change among the columns of a variable; of a categorical one with its level. */
function changeCell(variable, change, most) {
  const { kind, levels, start } = variable;
  const place = placeOfChange(variable, change);
  const value = change[place];
  const bar = h("div", { class: value > 0 ? "more" : "less" });
  bar.style.width = `${50 * Math.min(1, Math.abs(value) / most)}%`;
  const level = kind === "categorical" && Math.abs(value) >= 0.0005 ? `${levels[place - start]} ` : "";
  return h("td", { class: "moved" }, h("div", { class: "balance" }, bar), h("span", { text: `${level}${signed(value, 3)}${unitOf(variable)}` }));
}
