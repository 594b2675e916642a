// The chosen sample: large, its code, the nearest row of the page, and buttons that open it in other views.

import { codeView } from "../ui/code.js";
import { variablesTable, hasLevels } from "../ui/variables.js";
import { button } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { givenWords } from "../ui/given.js";
import { briefNumber } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { nearestRow } from "./sample-draws.js";
import { openers } from "./sample-open.js";

/** Return the card of the chosen sample: `{ element, show({ place, kind, x, mode, z, given }) }`. */
export function sampleDetail({ run, state, theme, canOpen }) {
  const { data } = run;
  const heading = h("h2");
  const pair = data.image ? pairOfImages(data, theme) : pairOfColumns(data);
  const code = codeView({ model: run.model, theme, label: "code" });
  const [distance, given] = [h("p", { class: "small soft" }), h("p", { class: "small" })];
  const near = nearestRow(data);
  let shown = null;
  const open = openers(run, canOpen).map(([text, changes]) => button(text, () => state.set(changes(shown))));
  const element = h(
    "aside",
    { class: "sample-detail", "aria-label": "The chosen sample" },
    h("div", {}, heading, pair.element),
    h("div", {}, distance, given, h("h3", { text: "Its code" }), code.element, h("div", { class: "button-row" }, open)),
  );
  return {
    element,
    show(next) {
      const found = near.of(next.x);
      shown = { ...next, row: found.row };
      heading.textContent = `Sample ${next.place + 1}`;
      pair.show(next, data.row(found.row), `the nearest row: ${found.row}${data.labels ? `, class ${data.classes[data.labels[found.row]]}` : ""}`);
      distance.textContent = distanceWords(data, near, found, next.kind);
      given.textContent = next.given ? `Given: ${givenWords(data, next.given)}` : "";
      code.show(next.z);
    },
  };
}

function pairOfImages(data, theme) {
  const [picture, row] = ["the chosen sample", "the nearest row"].map((label) => observationView({ data, theme, label, size: 168 }));
  const rowName = h("figcaption");
  return {
    element: h("div", { class: "sample-pair" }, h("figure", {}, picture.element, h("figcaption", { text: "the sample" })), h("figure", {}, row.element, rowName)),
    show({ x }, nearest, name) {
      picture.show(x);
      row.show(nearest);
      rowName.textContent = name;
    },
  };
}

function pairOfColumns(data) {
  const rowName = h("span");
  const table = variablesTable({ data, label: "The sample and the nearest row", headOf: (place) => (place ? rowName : "the sample"), marks: true });
  return {
    element: table.element,
    show({ x, kind }, nearest, name) {
      table.show([{ x, isMean: kind === "mean" }, { x: nearest }]);
      rowName.textContent = name;
    },
  };
}

function distanceWords(data, near, found, kind) {
  const noun = data.image ? "pixels" : "columns";
  const count = data.image ? data.size : data.variables.length || data.size;
  const rows = data.count === data.total ? `all ${data.count.toLocaleString("en")} ${data.split} rows` : `the first ${data.count.toLocaleString("en")} ${data.split} rows`;
  const usual = usualWords(data, near);
  const gap = briefNumber(Number(found.distance.toPrecision(3)));
  if (near.bits && kind !== "mean") return `${gap} of ${count} ${noun} differ (Hamming distance), the fewest of ${rows}. ${usual}`;
  return `${gap} is ${data.image ? "the squared distance, summed over pixels" : distanceOfColumns(data)}; the smallest of ${rows}. ${usual}`;
}

/** How far rows are from each other, beside which a distance is read. */
function usualWords(data, near) {
  if (data.count < 2) return "The page holds no other row to compare this distance with.";
  const { distance: usual, count } = near.usual();
  const missing = data.may_be_missing ? " What is missing in a row is left out of its distances." : "";
  if (!(usual > 0)) return `Many rows of these data are alike, so that 0 is no sign of a copy.${missing}`;
  return `From a row to the nearest other row it is ${briefNumber(Number(usual.toPrecision(3)))} (median of ${count} rows); a copy is at 0.${missing}`;
}

function distanceOfColumns(data) {
  const levels = data.variables.filter(hasLevels).length;
  const numbers = "squared differences of numbers, each divided by the variance of its column";
  if (!levels) return `the distance, the sum of ${numbers}`;
  return levels === data.variables.length ? "the number of columns whose likelier level differs" : `the distance: 1 for each level that differs, and ${numbers}`;
}
