// The difference of the bounds of two runs, row by row.

import { histogram } from "../ui/chart.js";
import { button, choice } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { shownNumber } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { chosenRow, rowName } from "./compare-input.js";
import { differenceOf, extremes, rowsWords, whyNotComparable } from "./compare-rules.js";

const SHOWN = 4; // rows at either end

/** Return the section with the paired differences of two runs: `{ element, show(keys) }`. */
export function pairedDifference({ page, state, theme }) {
  const options = page.runs.map((run, index) => [String(index), run.title]);
  const [first, second] = firstPair(page.runs);
  const words = h("p", { class: "compare-words" });
  const refusal = h("p", { class: "note" });
  const chart = histogram({ title: "Difference of the bounds, one value for each row", x: { label: "nats", format: shownNumber } });
  const ends = h("div", { class: "compare-ends" });
  const body = h("div", {}, words, h("div", { class: "compare-difference" }, chart.element, ends));
  const element = h(
    "section",
    {},
    h("h2", {}, "Difference of the bounds ", explain("paired differences", "Both runs are evaluated on the same rows, so the difference is taken row by row. What makes a row hard for both runs cancels, and the standard error is smaller than that of two separate means.")),
    h("div", { class: "controls" }, choice(state, "compare.a", { label: "First", options, value: first }), choice(state, "compare.b", { label: "minus second", options, value: second })),
    refusal,
    body,
  );
  let shown = null;
  return {
    element,
    show() {
      const [a, b] = [runOf(page, state.get("compare.a", first)), runOf(page, state.get("compare.b", second))];
      const why = a === b ? "Choose two different runs." : whyNotComparable(a, b);
      refusal.hidden = why === null;
      body.hidden = why !== null;
      refusal.textContent = why ?? "";
      if (why !== null) return;
      if (shown?.a !== a || shown?.b !== b) {
        shown = { a, b, ...differenceOf(a, b) };
        words.textContent = sentenceOf(shown);
        fill(ends, endsOf(shown, state, theme));
      }
      const row = chosenRow(state, a.data);
      const marks = [
        { x: shown.mean, name: `mean ${shownNumber(shown.mean)}`, tone: "accent" },
        { x: shown.differences[row], name: `the chosen row ${shownNumber(shown.differences[row])}`, tone: "accent-2" },
      ];
      chart.show({ values: shown.differences, marks });
      for (const each of ends.querySelectorAll("button")) each.setAttribute("aria-pressed", String(Number(each.dataset.row) === row));
    },
  };
}

/** The first two runs whose bounds compare; the first two if none do. */
function firstPair(runs) {
  for (let a = 0; a < runs.length; a += 1) {
    for (let b = a + 1; b < runs.length; b += 1) if (whyNotComparable(runs[a], runs[b]) === null) return [String(a), String(b)];
  }
  return ["0", "1"];
}

function runOf(page, text) {
  return page.runs[Math.min(page.runs.length - 1, Math.max(0, Math.round(Number(text) || 0)))];
}

function sentenceOf({ a, b, mean, error, apart, higher, differences }) {
  const n = differences.length;
  const what = `On ${rowsWords(a.data)}, the ELBO (K = ${a.bound_samples} codes) of ${a.title} minus that of ${b.title} is ${shownNumber(mean)}`;
  if (n < 2) return `${what} nats. One row does not tell which run is better.`;
  const verdict = Math.abs(mean) > 2 * error ? "" : " That is within two standard errors of zero: these rows do not tell which run is better.";
  return (
    `${what} ± ${shownNumber(error)} nats per observation ` +
    `(mean and standard error of the differences; of two separate means it would be ± ${shownNumber(apart)}). ` +
    `${a.title} has the higher bound in ${higher.toLocaleString("en")} of ${n.toLocaleString("en")} rows.${verdict}`
  );
}

function endsOf(pair, state, theme) {
  const { largest, smallest } = extremes(pair.differences, SHOWN);
  return [
    endOf(`The rows that favour ${pair.a.title} most`, largest, pair, state, theme),
    endOf(`The rows that favour ${pair.b.title} most`, smallest, pair, state, theme),
  ];
}

function endOf(title, rows, pair, state, theme) {
  const { data } = pair.a;
  return h(
    "div",
    {},
    h("h3", { text: title }),
    h("ul", { class: "compare-rows" }, rows.map((row) => {
      const pictures = data.image ? [data.row(row), ...[pair.a, pair.b].map((run) => reconstruct(run, row))].map((x, place) => small(data, theme, x, ["input", pair.a.title, pair.b.title][place])) : [];
      const text = `${rowName(data, row)}: ${shownNumber(pair.differences[row])} nats`;
      const choose = button("", () => state.set({ "compare.row": row }), { class: "compare-row", "data-row": row, "aria-label": `Show ${text}` });
      choose.append(...pictures, h("span", { text }));
      return h("li", {}, choose);
    })),
  );
}

function small(data, theme, x, label) {
  const view = observationView({ data, theme, label, size: 44 });
  view.show(x);
  return view.element;
}

/** Return the mean of p(x|z) for the best code of a row. */
export function reconstruct(run, row) {
  const given = run.data.given ? run.data.givenRows(1, row) : null;
  return run.model.decode(run.model.best(run.model.posterior(run.data.row(row), 1, given)), 1, given);
}
