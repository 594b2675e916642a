// The bound of one observation beside those of the rows: how typical it is, and its parts.

import { histogram } from "../ui/chart.js";
import { choice, numberField, toggle } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { nats } from "./draw-words.js";

/** Return the panel of the bound: `{ element, words(), show(look, reference), showMany(bounds, count) }`. A reference is
 * `{ values, rows, name }`: the values of the rows to compare with, words for these rows, and what the values are. */
export function boundPanel(run, state) {
  const has = run.model.hasBound;
  const chart = histogram({ title: has ? "How typical is it?" : "How usual is its code?", x: { label: has ? "ELBO (nats)" : "log-density of the code (nats)" }, y: { label: "rows" }, height: 190 });
  const number = h("p", { class: "draw-number value" });
  const parts = h("dl", { class: "draw-parts" });
  const many = h("p", { class: "value", "data-iwae": "" });
  const note = h("p", { class: "soft small" });
  const title = h("h2", {}, h("span", { text: has ? "Its bound" : "Its error and its code" }), has ? aboutBound(run) : aboutPoint());
  return {
    element: h("section", { class: "draw-panel bound" }, title, number, parts, chart.element, note, has ? controls(state) : null, many),
    show(look, reference) {
      const value = has ? look.bounds.elbo : look.density;
      number.textContent = has ? `ELBO ${nats(value)} nats` : `log-density of its code ${nats(value)} nats`;
      number.dataset.value = value;
      fill(parts, has ? partsOf(look.bounds, run) : pair("Reconstruction error", `${nats(look.error)} nats`, look.error));
      chart.element.classList.toggle("draw-waiting", reference === null);
      chart.element.hidden = reference?.few ?? false;
      if (reference !== null) chart.show({ values: reference.values, marks: [{ x: value, name: "this input", tone: "accent-2" }] });
      note.textContent = noteOf(run, reference);
    },
    showMany(bounds, count, waiting = false) {
      many.classList.toggle("draw-waiting", waiting);
      if (waiting) return;
      many.textContent = bounds === null ? "" : `IWAE-${count.toLocaleString("en")} ${nats(bounds.iwae)} nats, above the ELBO by ${nats(bounds.iwae - bounds.elbo)} (ELBO of the same codes ${nats(bounds.elbo)})`;
      many.dataset.iwae = bounds === null ? "" : bounds.iwae;
    },
  };
}

function controls(state) {
  const codes = choice(state, "draw.codes", { label: "K for IWAE-K and hidden values", options: [["100", "100"], ["500", "500"], ["2000", "2,000"]], value: "500" });
  return h("div", { class: "controls" }, codes, toggle(state, "draw.iwae", { label: "Also IWAE-K" }), numberField(state, "draw.seed", { label: "Seed of the codes" }));
}

function partsOf(bounds, run) {
  return [
    pair("Reconstruction, E log p(x|z)", `${nats(bounds.reconstruction)} nats`, bounds.reconstruction),
    pair("KL of q(z|x) from the prior", `${nats(bounds.kl)} nats`, bounds.kl),
    pair("Monte Carlo error", `\u00b1 ${nats(bounds.error)} nats (K = ${run.bound_samples})`, bounds.error),
  ];
}

function pair(name, text, value) {
  return h("div", {}, h("dt", { text: name }), h("dd", { class: "value", text, "data-value": value }));
}

function noteOf(run, reference) {
  if (reference === null) return "The bounds of the rows are being computed.";
  if (reference.few) return "Too few rows have these values observed: there is no histogram to compare with.";
  if (!run.model.hasBound) return `Higher means that more of the rows have codes nearby. The histogram shows the ${reference.rows}.`;
  return `The histogram shows the ELBO of the ${reference.rows}, each from K = ${run.bound_samples} codes, as that of this input is.`;
}

function aboutBound(run) {
  return explain(
    "the bound",
    formula("elbo"),
    `The evidence lower bound (ELBO) is below log p(x), the logarithm of the probability (or density) of this input under the model, in nats: the higher, the more typical. It is estimated from K = ${run.bound_samples} codes.`,
    "Its first part says how well the codes of this input reproduce it; its second, the KL, how many nats the code says beyond what the prior does. IWAE-K, from many codes, lies nearer to log p(x).",
  );
}

function aboutPoint() {
  return explain(
    "error and density",
    "An auto-encoder without noise has no likelihood of x, and so no bound on log p(x).",
    "Its reconstruction error is \u2212log p(x|z) at its code z, in nats: the lower, the better this input is reproduced. The density of its code is that of the prior that was fitted to the codes of the training rows.",
  );
}
