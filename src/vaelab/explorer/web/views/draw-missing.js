// Hidden values filled in: their expectation given what is observed, and several draws.

import { fill, h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { observationView } from "../ui/observation.js";
import { cellOf } from "./draw-input.js";
import { counted, effectiveWords } from "./draw-words.js";
import { meanWords } from "./form.js";

const DRAWS = 5;
const LISTED = 50; // variables of the table of draws, at most

/** Return the panel of hidden values: `{ element, show(input, codes, noise), wait(input) }`. */
export function missingPanel({ run, theme }, why) {
  const { data } = run;
  const body = h("div", { class: data.image ? "draw-filled" : "draw-filled table" });
  const words = h("p", { class: "value" });
  const effective = h("p", { class: "small" });
  const about = explain(
    "hidden values",
    formula("imputation"),
    "K codes are drawn from the posterior of the observed values. A code counts by its weight: how probable it and the observed values are together, over how often it is drawn. A draw takes one code by its weight, then the hidden values from p(x|z).",
    "Effective samples say how many codes count: (sum of the weights)\u00b2 / (sum of their squares).",
  );
  const mean = data.image ? observationView({ data, theme, label: "hidden pixels filled with their expectation", size: 92 }) : null;
  const draws = data.image ? Array.from({ length: DRAWS }, (_, place) => observationView({ data, theme, label: `draw ${place + 1} of the hidden pixels`, size: 92 })) : null;
  const element = h("section", { class: "draw-panel missing" }, h("h2", {}, h("span", { text: "Hidden values, filled in" }), about), h("p", { class: "soft small", text: why ?? hintOf(data) }), words, body, effective);
  return {
    element,
    wait(input) {
      element.setAttribute("aria-busy", String(input.hidden > 0));
      if (input.hidden) return; // what was filled in last stays until the new values are known
      fill(body);
      [words.textContent, effective.textContent] = ["", ""];
    },
    show(input, codes, noise) {
      element.setAttribute("aria-busy", "false");
      const filled = codes.mean();
      const drawn = codes.draws(DRAWS, noise);
      words.textContent = `${hiddenWords(data, input)} filled with the expectation given the rest${data.image ? ", then drawn five times" : "; five draws of each"}.`;
      effective.textContent = effectiveWords(codes.effective(), codes.count);
      effective.dataset.value = codes.effective();
      if (!data.image) return fill(body, tableOfDraws(data, input.x, filled, drawn));
      mean.show(filled);
      draws.forEach((view, place) => view.show(drawn.subarray(place * data.size, (place + 1) * data.size)));
      return fill(body, figure(mean.element, "expectation"), draws.map((view, place) => figure(view.element, `draw ${place + 1}`)));
    },
  };
}

function figure(element, text) {
  return h("figure", {}, element, h("figcaption", { class: "small soft", text }));
}

function hintOf(data) {
  return data.image ? "Paint with the tool \u201cHide\u201d over pixels that the model shall not see." : "Set a value to \u201cnot observed\u201d (empty a number), and the model fills it in.";
}

function hiddenWords(data, { x, hidden }) {
  if (data.image) return `${counted(hidden, "hidden pixel")} of ${data.size.toLocaleString("en")},`;
  const names = data.variables.filter((variable) => Number.isNaN(cellOf(variable, x)));
  return `${counted(names.length, "variable")} of ${data.variables.length.toLocaleString("en")} not observed,`;
}

function tableOfDraws(data, x, filled, drawn) {
  const missing = data.variables.filter((variable) => Number.isNaN(cellOf(variable, x)));
  const shown = missing.slice(0, LISTED);
  const head = h("tr", {}, ["Variable", "Expectation", "Five draws"].map((text) => h("th", { scope: "col", text })));
  const rows = shown.map((variable) => {
    const each = Array.from({ length: DRAWS }, (_, place) => valueWords(variable, drawn.subarray(place * data.size, (place + 1) * data.size)));
    return h("tr", {}, h("th", { scope: "row", text: variable.name }), h("td", { class: "value", text: meanWords(variable, filled) }), h("td", { text: each.join(", ") }));
  });
  const note = missing.length > shown.length ? h("p", { class: "soft small", text: `The first ${LISTED} of ${missing.length} hidden variables.` }) : null;
  return h("div", {}, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Hidden values filled in" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows))), note);
}

function valueWords(variable, x) {
  const value = cellOf(variable, x);
  if (variable.kind === "binary" || variable.kind === "categorical") return (variable.levels ?? ["0", "1"])[Math.round(value)];
  return String(Number(value.toPrecision(4)));
}
