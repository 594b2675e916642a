// Receptive fields: what each unit of a layer does to x, as pictures beside each other.

import { button, choice } from "../ui/controls.js";
import { differenceLegend, differenceView, largest } from "../ui/difference.js";
import { fill, h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { placeIn } from "../ui/numbers.js";
import { inSlices } from "../ui/work.js";
import { meanSize } from "./bits-numbers.js";
import { effectOf, weightsOf } from "./layers-numbers.js";
import { layerName, layersOfRun } from "./layers-state.js";

const PAGE = { image: 40, table: 8 };
const [ROWS, DRAWS] = [6, 8]; // of an effect: rows of the data, and draws of the layers below for each
const SORTS = [["size", "strongest first"], ["index", "by number"]];

export const fieldsPart = {
  name: "fields",
  title: "Receptive fields",
  mount(root, context) {
    const subject = layersOfRun(context.run);
    const { state } = context;
    subject.fields ??= new Map();
    const linear = weightsOf(subject.net) !== null;
    const controls = controlsOf(subject, state, linear);
    const [text, list, legend] = [h("p", { class: "finding" }), h("ul", { class: subject.data.image ? "fields" : "fields of-table" }), differenceLegend("")];
    const pager = pagerOf(subject, state);
    fill(root, h("div", { class: "controls" }, controls.all), text, h("div", { class: "controls" }, legend.element), list, pager.element);
    let stop = () => {};
    const update = (changed) => {
      if (changed !== null && !changed.some((key) => key.startsWith("layers."))) return;
      stop();
      const chosen = chosenOf(subject, state, linear);
      controls.field?.toggleAttribute("hidden", chosen.l > 0);
      const key = `${chosen.kind}.${chosen.l}`;
      const show = (fields) => showFields(subject, context, chosen, fields, { text, list, legend, pager });
      if (subject.fields.has(key)) {
        show(subject.fields.get(key));
        return;
      }
      const found = [];
      fill(list);
      stop = inSlices(fieldsOf(subject, context, chosen), {
        each: (field) => found.push(field),
        pause: () => { text.textContent = `The effect of unit ${found.length} of ${subject.sizes[chosen.l]} is being computed.`; },
        done: () => {
          subject.fields.set(key, found);
          show(found);
        },
      });
    };
    update(null);
    return { update, unmount: () => stop() };
  },
};

function chosenOf(subject, state, linear) {
  const l = Math.max(0, placeIn(state, "layers.layer", subject.net.last + 1, 1) - 1);
  const kind = linear && l === 0 && state.get("layers.field", "weights") === "weights" ? "weights" : "effect";
  return { l, kind };
}

function controlsOf(subject, state, linear) {
  const layers = subject.sizes.map((size, l) => [String(l + 1), `layer ${l + 1}, ${size} units`]);
  const field = linear ? choice(state, "layers.field", { label: "Show", options: [["weights", "weights to the logits of x"], ["effect", `effect on p(x | ${layerName(0)})`]] }) : null;
  const layer = layers.length > 1 ? choice(state, "layers.layer", { label: "Layer", options: layers, value: "1" }) : null;
  const order = choice(state, "layers.sort", { label: "Order", options: SORTS });
  return { field, all: [layer, field, order, explanation(subject, linear)].filter(Boolean) };
}

function explanation({ net, data }, linear) {
  const weights = linear ? ["Weights: what a unit that is 1 adds to the logits of x, in nats."] : [];
  const ends = net.bits ? "1 minus p(x|\u2026) with the unit 0" : "1 minus p(x|\u2026) with the unit \u22121, one standard deviation of the prior above and below its mean";
  return explain(
    "receptive fields",
    ...weights,
    `Effect: p(x|\u2026) with the unit ${ends}, on average over ${Math.min(ROWS, data.count)} rows. For a layer above the first, the layers between are drawn from p, ${DRAWS} times for each row, with the same random numbers for both values of the unit.`,
  );
}

function* fieldsOf(subject, context, { l, kind }) {
  const { net, data, units } = subject;
  if (kind === "weights") {
    const weights = weightsOf(net);
    for (let unit = 0; unit < net.sizes[0]; unit += 1) yield fieldOf(unit, weights.subarray(unit * data.size, (unit + 1) * data.size));
    return;
  }
  const rows = Array.from({ length: Math.min(ROWS, data.count) }, (_, row) => row);
  const start = net.sizes.slice(0, l).reduce((sum, size) => sum + size, 0);
  const codes = rows.map((row) => codeAt(subject, row).slice(start, start + net.sizes[l]));
  const givens = rows.map(subject.givenOf);
  const [low, high] = net.bits ? [0, 1] : [-1, 1];
  const rng = context.rng(0).fork("fields");
  for (let unit = 0; unit < net.sizes[l]; unit += 1) {
    yield fieldOf(unit, effectOf({ net, l, unit, codes, givens, low, high, draws: DRAWS, rng, units }));
  }
}

function codeAt(subject, row) {
  return subject.net.bits ? subject.codeOf(row) : subject.codes.slice(row * subject.dim, (row + 1) * subject.dim);
}

function fieldOf(unit, values) {
  return { unit, values, size: meanSize(values) };
}

function showFields(subject, { state, theme }, { l, kind }, fields, { text, list, legend, pager }) {
  const { data } = subject;
  const sorted = state.get("layers.sort", "size") === "index" ? fields : [...fields].sort((a, b) => b.size - a.size);
  const most = sorted.reduce((top, { values }) => Math.max(top, largest(values)), 0.01);
  const { first, some } = pager.show(sorted, data);
  legend.show(most);
  legend.element.lastChild.textContent = kind === "weights" ? "weight to a logit of x, in nats" : `change of p(x | ${layerName(0)})`;
  text.textContent = fieldWords(subject, l, kind, fields);
  fill(list, some.map(({ unit, values, size }) => {
    const label = `${kind} of unit ${unit} of layer ${l + 1}`;
    const view = differenceView({ data, theme, label, size: 64, columns: 4 });
    view.show(values, { most });
    return h("li", {}, view.element, h("span", { text: `unit ${unit}` }), h("span", { class: "soft", text: size.toPrecision(2) }));
  }));
  return first;
}

function pagerOf(subject, state) {
  const range = h("span", { class: "soft" });
  const each = subject.data.image ? PAGE.image : PAGE.table;
  let last = 0;
  const page = () => placeIn(state, "layers.from", last);
  const go = (step) => () => state.set({ "layers.from": Math.min(last, Math.max(0, page() + step)) });
  const [back, on] = [button("\u2039 Before", go(-1)), button("Next \u203a", go(1))];
  const element = h("div", { class: "controls" }, back, range, on);
  return {
    element,
    show(sorted) {
      last = Math.ceil(sorted.length / each) - 1;
      const first = page() * each;
      const some = sorted.slice(first, first + each);
      range.textContent = `${first + 1}\u2013${first + some.length} of ${sorted.length}`;
      back.disabled = page() === 0;
      on.disabled = page() === last;
      element.hidden = last === 0;
      return { first, some };
    },
  };
}

function fieldWords(subject, l, kind, fields) {
  const sorted = [...fields].sort((a, b) => b.size - a.size);
  const [first] = sorted;
  const weak = fields.filter(({ size }) => size < first.size / 10).length;
  const what = kind === "weights" ? "mean size of its weights" : `mean size of its effect over the ${subject.whole}`;
  const rest = weak === 0 ? "None is weaker than a tenth of that." : `${weak} of ${fields.length} units have less than a tenth of that: they hardly act on x.`;
  return `The number below a picture is the ${what}. The strongest unit of layer ${l + 1} is ${first.unit}, with ${first.size.toPrecision(2)}. ${rest}`;
}
