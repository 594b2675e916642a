// Which bits go together on the rows of the page: a matrix of correlations, and the strongest pairs.

import { readCells } from "../ui/cells.js";
import { differenceLegend, paintChange, signed } from "../ui/difference.js";
import { fill, h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { correlations, strongest } from "./bits-numbers.js";

const PAIRS = 12;

/** Return the panel of the correlations: `{ element, show(), select() }`. */
export function correlationPanel(subject, { state, theme }) {
  const { dim, data } = subject;
  subject.correlations ??= correlations(subject.codes, data.count, dim);
  const canvas = h("canvas", { width: dim, height: dim, class: "image matrix", role: "img", "aria-label": `Correlations of ${dim} bits` });
  const read = h("p", { class: "value", role: "status", text: "Point at a pair to read it, or reach it with the arrow keys." });
  const legend = differenceLegend("correlation; no colour where a bit never changes");
  legend.show(1);
  readCells(canvas, { columns: dim, rows: dim, read: (cell) => { read.textContent = pairWords(subject, Math.floor(cell / dim), cell % dim); } });
  const pairs = strongest(subject.correlations, dim, PAIRS);
  const element = h(
    "section",
    {},
    h("div", { class: "heading" }, h("h2", { text: "Bits that go together" }), explanation(data)),
    h("p", { class: "finding", text: correlationWords(subject, pairs) }),
    h("div", { class: "beside" }, h("figure", { class: "square" }, h("figcaption", { text: "Rows and columns: bits by number" }), canvas, read, legend.element), pairList(subject, state, pairs)),
  );
  const show = () => {
    const surface = canvas.getContext("2d");
    const pixels = surface.createImageData(dim, dim);
    paintChange(pixels.data, subject.correlations, 1, theme);
    surface.putImageData(pixels, 0, 0);
  };
  return { element, show, select() {} };
}

function explanation(data) {
  return explain(
    "correlation",
    `The correlation of two bits over the codes of the ${data.count} rows: +1 if they are always equal, \u22121 if always different, 0 if one tells nothing of the other in a linear way. A prior of independent bits cannot draw such pairs; a second layer can.`,
  );
}

function pairWords(subject, a, b) {
  const value = subject.correlations[a * subject.dim + b];
  const text = Number.isNaN(value) ? "no correlation, as one of them never changes" : signed(value);
  return `${subject.nameOf(a)} and ${subject.nameOf(b)}: ${text}`;
}

function correlationWords({ nameOf, correlations: matrix, dim }, pairs) {
  if (!pairs.length) return "No two bits change on these rows, so there is no correlation to show.";
  const [first] = pairs;
  let [strong, all] = [0, 0];
  for (let a = 0; a < dim; a += 1) {
    for (let b = a + 1; b < dim; b += 1) {
      const size = Math.abs(matrix[a * dim + b]);
      all += size >= 0 ? 1 : 0;
      strong += size >= 0.3 ? 1 : 0;
    }
  }
  return `The strongest pair is ${nameOf(first.a)} and ${nameOf(first.b)}, ${signed(first.value)}. ${strong} of ${all} pairs have a correlation of at least 0.3 in size.`;
}

function pairList(subject, state, pairs) {
  const open = (bit) => h("button", { type: "button", class: "link", text: subject.nameOf(bit), onclick: () => state.set({ "bits.part": "code", "bits.bit": bit }) });
  const body = pairs.map(({ a, b, value }) => h("tr", {}, h("td", {}, open(a)), h("td", {}, open(b)), h("td", { text: signed(value) })));
  const heads = ["Bit", "Bit", "Correlation"];
  const table = h("table", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col", text })))), fill(h("tbody"), body));
  return pairs.length ? h("div", { class: "scroll pairs", tabindex: "0", role: "region", "aria-label": "Strongest correlations" }, h("h3", { text: "Strongest pairs" }), table) : null;
}
