// Draw: an observation of your own, and what the model makes of it.

import { whyComplete } from "../engine/imputation.js";
import { button } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { observationView } from "../ui/observation.js";
import { rowChoice } from "../ui/rows.js";
import { boundPanel } from "./draw-bound.js";
import { codeView } from "./draw-code.js";
import { backButton, imageEntry } from "./draw-image.js";
import { ofRow, writeCells, written } from "./draw-input.js";
import { missingPanel } from "./draw-missing.js";
import { workOf } from "./draw-work.js";
import { rangesOf, rowForm } from "./form.js";

const COMPUTED = ["draw.row", "draw.pixels", "draw.cells", "draw.given", "draw.seed", "draw.codes", "draw.iwae"];

const SHORT = 12; // variables of a form that is no higher than its neighbours

export const drawView = {
  name: "draw",
  title: "Draw",
  about: "Enter an input of your own: its code, reconstruction and bound follow at once. Hide a part of it, and the model fills it in.",
  applies: () => true,
  mount(root, context) {
    const { run } = context;
    const why = whyComplete(run.model);
    const parts = partsOf(context, why);
    fill(root, parts.element);
    const work = workOf(context, parts, why);
    work.update(true);
    return {
      update: (changed) => work.update(changed.some((key) => COMPUTED.includes(key))),
      unmount: work.stop,
    };
  },
};

/** The parts of the view: the entry, the reconstruction, and the panels of the bound, the code and the hidden values. */
function partsOf(context, why) {
  const { run, state } = context;
  const { data } = run;
  const entry = data.image ? imageEntry(context, why) : tableEntry(context, why);
  const given = givenEntry(context);
  const row = rowChoice(state, "draw.row", { data, label: "Start from row", also: ofRow(0) });
  const reconstruction = data.image ? observationView({ data, theme: context.theme, label: "reconstruction", size: 336 }) : null;
  const [bound, missing, code] = [boundPanel(run, state), missingPanel(context, why), codeView(run)];
  const words = h("ul", { class: "draw-words" });
  const near = nearRows(context);
  const element = h(
    "div",
    { class: "draw" },
    h("div", { class: "controls draw-start" }, row.element, data.image || why !== null ? null : button("Nothing observed", () => state.set(ofRow(-1)))),
    h(
      "div",
      { class: `draw-columns${data.image ? "" : data.variables.length > SHORT ? " table" : " table short"}` },
      h("div", { class: "draw-column" }, h("section", { class: "draw-panel first" }, h("h2", { text: "Your input" }), given.element, entry.element), data.image ? missing.element : null),
      h("div", { class: "draw-column" }, reconstruction ? reconstructionPanel(reconstruction) : null, codePanel(run, code), data.image ? null : missing.element),
      h("div", { class: "draw-column" }, h("section", { class: "draw-panel second" }, h("h2", {}, h("span", { text: "What this input shows" }), lookFor(data)), words, near.element), bound.element),
    ),
  );
  return { element, entry, given, row, reconstruction, bound, missing, code, words, near };
}

function lookFor({ image }) {
  return explain(
    "what to look for",
    image ? "Draw something like the rows: does the reconstruction keep it, and where does its bound stand among theirs?" : "Change one value: which others does the model now expect? Set a value to \u201cnot observed\u201d: is what it fills in near to what stood there?",
    image ? "Then draw something else, or cross a stroke through it: what does the reconstruction leave out, and how far does the bound fall?" : "Enter a row that cannot be: how far does the bound fall?",
    "A high bound does not prove that an input is like the rows. Simple inputs, such as an empty image, often have higher bounds than any row: Nalisnick et al. (2019), https://arxiv.org/abs/1810.09136.",
  );
}

/** The rows that are nearest to the input, as images: `{ element, show([[name, row], ...]) }`. */
function nearRows({ run, state, theme }) {
  const { data } = run;
  const element = h("div", { class: "draw-near" });
  if (!data.image) return { element, show: () => {} };
  const shown = new Map();
  const figureOf = ([name]) => {
    const view = observationView({ data, theme, label: `the row with the nearest ${name}`, size: 84 });
    const open = button("", () => state.set(ofRow(Number(open.dataset.row))));
    const figure = h("figure", {}, view.element, h("figcaption", {}, h("span", { class: "small soft", text: `nearest ${name}` }), open));
    return { view, open, figure };
  };
  return {
    element,
    show(rows) {
      for (const entry of rows) if (!shown.has(entry[0])) shown.set(entry[0], figureOf(entry));
      rows.forEach(([name, row]) => {
        const { view, open } = shown.get(name);
        view.show(data.row(row));
        open.dataset.row = row;
        open.textContent = `Row ${row}`;
      });
      const figures = rows.map(([name]) => shown.get(name).figure);
      if (figures.length !== element.children.length) fill(element, figures);
    },
  };
}

function reconstructionPanel(reconstruction) {
  const about = explain("the reconstruction", "The mean of p(x|z) at the most probable code: the mean of a Gaussian posterior, the likelier value of each bit.", "Look at what it changes: strokes that it drops or adds are what the model expects instead.");
  return h("section", { class: "draw-panel third" }, h("h2", {}, h("span", { text: "Its reconstruction" }), about), reconstruction.element);
}

function codePanel({ model }, code) {
  const about = explain("the posterior", "What the model knows of the code once it has seen this input: q(z|x).", model.code === "bits" ? "Bits near 0 or 1 are decided; a pale square is a bit that the input leaves open." : "A dimension whose mean is 0 and whose standard deviation is 1 is as in the prior: it says nothing of this input.");
  return h("section", { class: "draw-panel code" }, h("h2", {}, h("span", { text: model.code === "point" ? "Its code" : "Its posterior" }), about), code.element);
}

function tableEntry({ run, state }, why) {
  const { data } = run;
  let base = null;
  const back = backButton(state);
  const form = rowForm({ variables: data.variables, ranges: rangesOf(data), state, key: "draw.columns", mayHide: why === null, label: "Your row", changed: (x) => state.set(written(data, x, base)) });
  return {
    element: h("div", {}, h("div", { class: "controls" }, back.element), form.element),
    show(input, look) {
      ({ base } = input);
      back.show(input);
      form.show(input.x, { reconstruction: look.reconstruction, filled: look.filled ?? null });
    },
  };
}

/** The entry of what a conditional model is given. */
function givenEntry({ run, state }) {
  const { data } = run;
  if (data.given === null) return { element: null, show: () => {} };
  const ranges = data.given_variables.map(() => null);
  let own = null;
  const changed = (given) => state.set({ "draw.given": writeCells(given, data.given_variables, own) });
  const form = rowForm({ variables: data.given_variables, ranges, state, key: "draw.given-columns", mayHide: false, changed, label: "What the model is given", compared: false });
  return {
    element: h("div", {}, h("p", { class: "soft small", text: "The model is given this beside the input, and does not model it:" }), form.element),
    show(input) {
      own = data.givenRows(1, Math.max(0, input.row));
      form.show(input.given);
    },
  };
}
