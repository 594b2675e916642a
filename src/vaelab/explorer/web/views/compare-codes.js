// The same code through every run whose codes have the same kind and size.

import { codeView } from "../ui/code.js";
import { variablesTable, hasColumnsOf } from "../ui/variables.js";
import { button, following, numberField, toggle } from "../ui/controls.js";
import { h, unique } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { placeIn, shownNumber } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { drawSamples } from "./sample-draws.js";
import { cardsOf, chosenRow } from "./compare-input.js";

/** Return the section that decodes one code with every run that has such codes: `{ element, show() }`. */
export function sameCode({ page, run, state, theme }) {
  const group = groupOf(page, run);
  const heading = h("h2", {}, "The same code ", explain("the same code", "Two trainings give the numbers of a code different meanings, even with the same settings: a code of one run is seldom one of the same observation in another. What they share is the prior."));
  if (group === null) {
    return { element: h("section", {}, heading, h("p", { class: "soft", text: "No two runs of the page have codes of the same kind and size." })), show() {} };
  }
  const base = group[0];
  const code = codeView({ model: base.model, theme, label: "the code" });
  const decoded = decodedBy(group, theme);
  const intro = h("article", { class: "compare-card" }, h("h3", { text: "Code" }), code.element, h("p", { class: "small soft", text: `drawn from the prior of ${base.title}${group.some((each) => each.data.given) ? "; conditional models are given what the row above has" : ""}` }));
  return {
    element: h("section", {}, heading, controls(base, state), cardsOf([intro, ...decoded.cards]), decoded.table),
    show() {
      const z = codeOf(base, state);
      code.show(z);
      decoded.show(group.map(({ data, model }) => model.decode(z, 1, data.given ? data.givenRows(1, chosenRow(state, data)) : null)));
    },
  };
}

/** What each run decodes: images and other data in cards, columns of the first run's names in one table. */
function decodedBy(group, theme) {
  const base = group[0].data;
  const inTable = group.filter((run) => !base.image && hasColumnsOf(run.data, base));
  const cards = group.filter((run) => !inTable.includes(run)).map((run) => {
    const picture = observationView({ data: run.data, theme, label: `decoded by ${run.title}`, size: 150 });
    return { run, picture, element: h("article", { class: "compare-card" }, h("h3", { text: run.title }), picture.element) };
  });
  const table = inTable.length ? variablesTable({ data: base, label: "The decoded code", headOf: (place) => inTable[place].title }) : null;
  return {
    cards: cards.map((card) => card.element),
    table: table?.element ?? null,
    show(means) {
      for (const { run, picture } of cards) picture.show(means[group.indexOf(run)]);
      table?.show(inTable.map((run) => ({ x: means[group.indexOf(run)], isMean: true })));
    },
  };
}

/** Return the runs with codes of one kind and size: those like the current run, or else the first two that are alike. */
export function groupOf(page, run) {
  const like = (base) => page.runs.filter((each) => kindOf(each) === kindOf(base));
  const base = [run, ...page.runs].find((each) => like(each).length > 1);
  return base ? [base, ...like(base).filter((each) => each !== base)] : null;
}

function kindOf({ model }) {
  return `${model.code === "bits" ? "bits" : "real"} ${model.dim} ${model.layers.join("-")}`;
}

/** Return the code that the address names: drawn with a seed, one number replaced or one bit flipped. */
export function codeOf(run, state) {
  const given = run.data.given ? run.data.givenRows(1) : null;
  const { z } = drawSamples(run, { n: 1, temperature: 1, seed: state.get("compare.seed", 0), component: null, given });
  const place = placeIn(state, "compare.axis", run.model.dim - 1);
  if (run.model.code === "bits") {
    if (state.get("compare.flip", false)) z[place] = 1 - z[place];
  } else if (state.get("compare.value") !== null) z[place] = state.get("compare.value", 0);
  return z;
}

function controls(base, state) {
  const { model } = base;
  const bits = model.code === "bits";
  return h(
    "div",
    { class: "controls" },
    numberField(state, "compare.seed", { label: "Seed" }),
    numberField(state, "compare.axis", { label: `${bits ? "Bit" : "Number"} (0\u2013${model.dim - 1})`, max: model.dim - 1 }),
    bits ? toggle(state, "compare.flip", { label: "flipped" }) : valueControl(base, state),
  );
}

/** A slider for the chosen number of the code, which stands where the number is; a button takes back what was set. */
function valueControl(base, state) {
  const id = unique("value");
  const input = h("input", { type: "range", id, min: -4, max: 4, step: 0.05 });
  const shown = h("output", { for: id, class: "value" });
  const reset = button("As drawn", () => state.set({ "compare.value": null }));
  input.addEventListener("input", () => state.set({ "compare.value": Number(input.value) }));
  const show = () => {
    const value = codeOf(base, state)[placeIn(state, "compare.axis", base.model.dim - 1)];
    if (document.activeElement !== input) input.value = value;
    shown.textContent = shownNumber(value);
    reset.disabled = state.get("compare.value") === null;
  };
  show();
  return following(state, h("div", { class: "control" }, h("label", { for: id, text: "is" }), input, shown, reset), show);
}
