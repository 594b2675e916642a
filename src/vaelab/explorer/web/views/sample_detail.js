// The chosen sample: large, its code, the nearest row of the page, and buttons that open it in other views.

import { codeView } from "../ui/code.js";
import { button } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { givenWords } from "../ui/given.js";
import { briefNumber } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { nearestRow } from "./sample_draws.js";
import { openers } from "./sample_open.js";

/** Return the card of the chosen sample: `{ element, show({ place, kind, x, mode, z, given }) }`. */
export function sampleDetail({ run, state, theme, canOpen }) {
  const { data } = run;
  const heading = h("h2");
  const picture = observationView({ data, theme, label: "the chosen sample", size: 168 });
  const row = observationView({ data, theme, label: "the nearest row", size: 168 });
  const code = codeView({ model: run.model, theme, label: "code" });
  const [rowName, distance, given] = [h("figcaption"), h("p", { class: "small soft" }), h("p", { class: "small" })];
  const near = nearestRow(data);
  let shown = null;
  const open = openers(run, canOpen).map(([text, changes]) => button(text, () => state.set(changes(shown))));
  const element = h(
    "aside",
    { class: "sample-detail", "aria-label": "The chosen sample" },
    h("div", {}, heading, h("div", { class: "sample-pair" }, h("figure", {}, picture.element, h("figcaption", { text: "the sample" })), h("figure", {}, row.element, rowName))),
    h("div", {}, distance, given, h("h3", { text: "Its code" }), code.element, h("div", { class: "button-row" }, open)),
  );
  return {
    element,
    show(next) {
      const found = near.of(next.x);
      shown = { ...next, row: found.row };
      heading.textContent = `Sample ${next.place + 1}`;
      picture.show(next.x);
      row.show(data.row(found.row));
      rowName.textContent = `the nearest row: ${found.row}${data.labels ? `, class ${data.classes[data.labels[found.row]]}` : ""}`;
      distance.textContent = distanceWords(data, near, found, next.kind);
      given.textContent = next.given ? `Given: ${givenWords(data, next.given)}` : "";
      code.show(next.z);
    },
  };
}

function distanceWords(data, near, found, kind) {
  const noun = data.image ? "pixels" : "columns";
  const count = data.image ? data.size : data.variables.length || data.size;
  const rows = data.count === data.total ? `all ${data.count.toLocaleString("en")} ${data.split} rows` : `the first ${data.count.toLocaleString("en")} ${data.split} rows`;
  const usual = near.usual() > 0 ? `From a row to the nearest other row it is ${briefNumber(Number(near.usual().toPrecision(3)))} (median); a copy is at 0.` : "Many rows of these data are alike, so that 0 is no sign of a copy.";
  const gap = briefNumber(Number(found.distance.toPrecision(3)));
  if (near.bits && kind !== "mean") return `${gap} of ${count} ${noun} differ (Hamming distance), the fewest of ${rows}. ${usual}`;
  return `${gap} is ${data.image ? "the squared distance, summed over pixels" : distanceOfColumns(data)}; the smallest of ${rows}. ${usual}`;
}

function distanceOfColumns(data) {
  const levels = data.variables.filter((variable) => variable.levels || variable.kind === "binary").length;
  const numbers = "squared differences of numbers, each divided by the variance of its column";
  if (!levels) return `the distance, the sum of ${numbers}`;
  return levels === data.variables.length ? "the number of columns whose likelier level differs" : `the distance: 1 for each level that differs, and ${numbers}`;
}
