// Observations of a table side by side: a row for each variable, a column for each observation, and what changes.

import { largest, signed, unitOf } from "./difference.js";
import { fill, h } from "./dom.js";
import { shownValue } from "./observation.js";

/** Return such a table: `{ element, show(observations, change) }`; `heads` are their titles, the last one that of the change if there is one. */
export function columnsTable({ data, heads, label }) {
  const body = h("tbody");
  const head = h("tr", {}, h("td"), heads.map((text) => h("th", { scope: "col", text })));
  const table = h("table", { class: "columns" }, h("thead", {}, head), body);
  return {
    element: h("div", { class: "scroll columns-box", tabindex: "0", role: "region", "aria-label": label }, table),
    show(observations, change = null) {
      const most = change === null ? 1 : largest(change, 0.01);
      fill(body, data.variables.map((variable) => {
        const cells = observations.map((x) => valueCell(variable, x));
        return h("tr", {}, h("th", { scope: "row", title: variable.name, text: variable.name }), cells, change === null ? null : changeCell(variable, change, most));
      }));
    },
  };
}

function valueCell(variable, x) {
  const { part, text } = shownValue(variable, x);
  const cell = h("td", {}, h("span", { text }));
  cell.style.setProperty("--part", `${100 * part}%`);
  return cell;
}

/** The largest change among the columns of a variable; of a categorical one with its level. */
function changeCell(variable, change, most) {
  const { kind, levels, start, stop } = variable;
  let place = start;
  for (let column = start; column < stop; column += 1) if (Math.abs(change[column]) > Math.abs(change[place])) place = column;
  const value = change[place];
  const bar = h("div", { class: value > 0 ? "more" : "less" });
  bar.style.width = `${50 * Math.min(1, Math.abs(value) / most)}%`;
  const level = kind === "categorical" && Math.abs(value) >= 0.0005 ? `${levels[place - start]} ` : "";
  return h("td", { class: "moved" }, h("div", { class: "balance" }, bar), h("span", { text: `${level}${signed(value, 3)}${unitOf(variable)}` }));
}
