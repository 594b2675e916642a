// The same row through every run: its reconstruction, its code, and its bound.

import { codeView } from "../ui/code.js";
import { variablesTable, hasColumnsOf } from "../ui/variables.js";
import { h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { placeIn, shownNumber } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { rowChoice } from "../ui/rows.js";
import { isBits } from "./draw-input.js";

/** Return the section that shows one row of the page through every run: `{ element, show() }`. */
export function sameInput({ page, run, state, theme }) {
  const { data } = run;
  const rows = rowChoice(state, "compare.row", { data });
  const input = data.image ? inputCard(data, theme) : inputTable(data, page.runs);
  const cards = page.runs.map((each) => cardOf(each, data, theme));
  const element = h(
    "section",
    {},
    h("h2", {}, "The same row ", explain("the same row", "Each run encodes the row and decodes the best code of q(z|x): the mean of real numbers, the likelier value of each bit.", `The ELBO, a lower bound on log p(x), is that of K = ${run.bound_samples} codes. An auto-encoder without noise has none.`, formula("elbo"))),
    h("div", { class: "controls" }, rows.element),
    data.image ? null : input.element,
    cardsOf([data.image ? input.element : null, ...cards.map((card) => card.element)]),
  );
  return {
    element,
    show() {
      const row = chosenRow(state, data);
      rows.update();
      const means = cards.map((card) => card.show(row));
      input.show(row, means);
    },
  };
}

/** Return cards side by side, so wide that all stand in one row where there is room. */
export function cardsOf(cards) {
  const shown = cards.filter(Boolean);
  const element = h("div", { class: "compare-cards" }, shown);
  element.style.setProperty("--count", shown.length);
  return element;
}

/** Return the row of the page that the address names. */
export function chosenRow(state, data) {
  return placeIn(state, "compare.row", data.count - 1);
}

/** Return a row in words: its number, and its class if it has one. */
export function rowName(data, row) {
  return `${data.split} row ${row}${data.labels ? `, class ${data.classes[data.labels[row]]}` : ""}`;
}

function inputCard(data, theme) {
  const picture = observationView({ data, theme, label: "the row", size: 150 });
  const name = h("p", { class: "small soft" });
  return {
    element: h("article", { class: "compare-card" }, h("h3", { text: "Input" }), picture.element, name),
    show(row) {
      picture.show(data.row(row));
      name.textContent = rowName(data, row);
    },
  };
}

/** The row of a table beside its reconstructions by all runs that have its columns. */
function inputTable(data, runs) {
  const shown = runs.filter((run) => hasColumnsOf(run.data, data));
  const name = h("span");
  const table = variablesTable({ data, label: "The row and its reconstructions", headOf: (place) => (place ? shown[place - 1].title : name), marks: true });
  return {
    element: table.element,
    show(row, means) {
      name.textContent = rowName(data, row);
      table.show([{ x: data.row(row) }, ...shown.map((run) => ({ x: means[runs.indexOf(run)], isMean: true }))]);
    },
  };
}

function cardOf(run, base, theme) {
  const { data, model } = run;
  const own = data !== base ? observationView({ data, theme, label: `input of ${run.title}`, size: 75 }) : null;
  const inTable = !base.image && hasColumnsOf(data, base);
  const picture = inTable ? null : observationView({ data, theme, label: `reconstruction by ${run.title}`, size: 150 });
  const code = codeView({ model, theme, label: `code of ${run.title}` });
  const [bound, wrong, remark] = [h("p", { class: "compare-bound" }), h("p", { class: "small soft" }), h("p", { class: "small soft" })];
  const element = h("article", { class: "compare-card" }, h("h3", { text: run.title }), picture?.element ?? null, bound, wrong, code.element, own ? [remark, own.element] : null);
  return {
    element,
    show(place) {
      const row = Math.min(data.count - 1, place);
      const x = data.row(row);
      const given = data.given ? data.givenRows(1, row) : null;
      const q = model.posterior(x, 1, given);
      const mean = model.decode(model.best(q), 1, given);
      picture?.show(mean);
      code.show(q.mean());
      bound.textContent = run.bounds ? `ELBO ${shownNumber(run.bounds[row])} nats` : "no bound";
      wrong.textContent = missWords(data, x, mean);
      if (own) {
        own.element.hidden = row < base.count && sameNumbers(x, base.row(row));
        own.show(x);
        remark.textContent = data.sha256 === base.sha256 ? `Its input: the same row, binarisation ${data.binarisation}, given ${data.condition ?? "nothing"}.` : `Its input: row ${row} of its own data, ${data.name}.`;
      }
      return mean;
    },
  };
}

function sameNumbers(a, b) {
  return a.length === b.length && a.every((value, place) => Object.is(value, b[place]) || value === b[place]);
}

function missWords(data, x, mean) {
  if (data.image ? !isBits(data) : data.variables.some((variable) => variable.kind !== "binary")) return "";
  let wrong = 0;
  let known = 0;
  for (let place = 0; place < x.length; place += 1) {
    if (Number.isNaN(x[place])) continue;
    known += 1;
    wrong += (mean[place] > 0.5) !== (x[place] > 0.5) ? 1 : 0;
  }
  return `${wrong} of ${known} ${data.image ? "pixels" : "values"} wrong`;
}
