// One state of all layers: each layer beside what q makes of the layer below and p of the layer above.

import { button, toggle } from "../ui/controls.js";
import { columnsTable } from "../ui/columns.js";
import { fill, h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { observationView } from "../ui/observation.js";
import { figure, numbersList } from "../ui/parts.js";
import { classOf, rowChoice } from "../ui/rows.js";
import { unitsView } from "../ui/units.js";
import { inSlices } from "../ui/work.js";
import { nats } from "./bits-subject.js";
import { bitsKL, climb, descend, gibbsSweep, logJointOf, siteLogits } from "./layers-numbers.js";
import { currentLayers, forgottenLayers, keptLayers, layerName, layersOfRun } from "./layers-state.js";

export const climbPart = {
  name: "climb",
  title: "Up and down",
  mount(root, context) {
    const subject = layersOfRun(context.run);
    const { state } = context;
    const act = (name, change) => () => {
      const draws = state.get("layers.draw", 0) + 1;
      const now = currentLayers(subject, state);
      const ys = change(now, context.rng(draws));
      state.set({ ...keptLayers(subject, ys), "layers.draw": draws });
      context.say(`${name}. ${spoken(subject, { ...now, ys })}`);
    };
    const row = rowChoice(state, "layers.row", { data: subject.data, also: forgottenLayers(subject) });
    const free = toggle(state, "layers.free", { label: "x is not observed" });
    const numbers = numbersList();
    const read = h("p", { class: "soft", role: "status", text: "Point at a unit to read it, or reach it with the arrow keys." });
    const levels = subject.sizes.map((_, l) => levelOf(subject, context, l, act, (text) => { read.textContent = text; }));
    const bottom = bottomOf(subject, context);
    fill(
      root,
      h("div", { class: "controls" }, row.element, free, explanation(subject)),
      actionsOf(subject, act, () => state.set(forgottenLayers(subject))),
      numbers.element,
      read,
      h("div", { class: "levels" }, levels.map((level) => level.element).reverse(), bottom.element),
    );
    const update = () => {
      const now = currentLayers(subject, state);
      row.update();
      levels.forEach((level) => level.show(now));
      bottom.show(now);
      numbers.show(numbersOf(subject, now));
    };
    update();
    return { update, unmount: () => levels.forEach((level) => level.unmount()) };
  },
};

function actionsOf(subject, act, reset) {
  const { net } = subject;
  const sweep = ({ ys, x, given }, rng) => {
    const next = ys.slice();
    for (let l = 0; l <= net.last; l += 1) next[l] = gibbsSweep(net, l, next, x, given, rng);
    return next;
  };
  return h(
    "div",
    { class: "controls actions" },
    button("Climb: most probable", reset, { title: "From x upwards: the most probable value of each layer in q given that of the layer below" }),
    button("Climb: draw from q", act("All layers are drawn from q", ({ data, given }, rng) => climb(net, data, given, rng)), { title: "From x upwards: each layer is drawn from q given the layer below" }),
    button("Go down: draw from p", act("All layers are drawn from the prior", ({ ys }, rng) => descend(net, ys, net.last + 1, rng)), { title: "From the top: the top layer is drawn from its prior, each other layer from p given the layer above" }),
    net.bits ? button("Gibbs sweep of all layers", act("Each bit is drawn given all others", sweep), { title: "Each bit of each layer in turn is drawn from p(bit | all other bits, x)" }) : null,
  );
}

function explanation({ net }) {
  const gibbs = net.bits
    ? [
      h("p", {}, "Given all others: the exact probability that a bit is 1 given all other bits of all layers, and x if it is observed: ", formula("gibbs"), "."),
      "A Gibbs sweep draws the bits of a layer from it one after the other; many sweeps draw the layer given all other layers and x.",
    ]
    : ["For real units, a layer given all others has no closed form, so they are drawn from q or from p only."];
  return explain(
    "the layers",
    h("p", {}, "From below: ", formula("layer-up"), ", the recognition model, which was trained together with p. From above: ", formula("layer-down"), ", what the model expects. Where the two pictures differ, x says what the layers above do not."),
    ...gibbs,
    "If x is not observed, p leaves it out, and sweeps lead to draws from the prior; q still reads the row.",
  );
}

function levelOf(subject, context, l, act, read) {
  const { net, sizes, model } = subject;
  const { theme } = context;
  const names = namesOf(subject, context.state, l);
  const view = (label) => unitsView({ size: sizes[l], bits: net.bits, theme, label, read });
  const views = [view(`Layer ${l + 1}, values`), view(names.up), view(names.down), net.bits ? view(names.site) : null];
  const text = h("p", { class: "finding" });
  const replaced = (choose) => (now, rng) => now.ys.map((y, k) => (k === l ? choose(now, rng) : y));
  const buttons = [
    button("Draw from q", act(`Layer ${l + 1} is drawn from ${names.up}`, replaced(({ ys, data, given }, rng) => net.up(l, ys, data, given).sample(rng))), { "aria-label": `Layer ${l + 1}: draw from ${names.up}` }),
    button("Draw from p", act(`Layer ${l + 1} is drawn from ${names.down}`, replaced(({ ys }, rng) => net.above(l, ys, 1).sample(rng))), { "aria-label": `Layer ${l + 1}: draw from ${names.down}` }),
    net.bits ? button("Gibbs sweep", act(`A Gibbs sweep of layer ${l + 1}`, replaced(({ ys, x, given }, rng) => gibbsSweep(net, l, ys, x, given, rng))), { "aria-label": `Layer ${l + 1}: Gibbs sweep` }) : null,
  ];
  const cards = [
    figure("Values", views[0].element),
    figure(`From below: ${names.up}`, views[1].element, buttons[0]),
    figure(`From above: ${names.down}`, views[2].element, buttons[1]),
    net.bits ? figure(`Given all others: ${names.site}`, views[3].element, buttons[2]) : null,
  ];
  let stop = () => {};
  const show = ({ ys, x, data, given }) => {
    const [q, p] = [net.up(l, ys, data, given), net.above(l, ys, 1)];
    views[0].show(ys[l]);
    views[1].show(q.mean());
    views[2].show(p.mean());
    stop();
    if (net.bits) stop = showSites(net, l, { ys, x, given }, views[3]);
    text.textContent = levelWords(subject, l, ys[l], q, p);
  };
  const kind = net.bits ? "bits" : "real numbers";
  const title = `Layer ${l + 1}${l === net.last ? `, the top${model.layers.length ? "" : " and only one"}` : ""}: ${sizes[l]} ${kind}`;
  return { element: h("section", { class: "level" }, h("h2", { text: title }), h("div", { class: "pictures of-units" }, cards), text), show, unmount: () => stop() };
}

function showSites(net, l, { ys, x, given }, view) {
  let logits = null;
  const work = siteLogits(net, l, ys, x, given);
  return inSlices(work, {
    each: (found) => { logits = found; },
    done: () => view.show(logits.map((logit) => 1 / (1 + Math.exp(-logit)))),
  });
}

function namesOf(subject, state, l) {
  const { net } = subject;
  const { data, given } = currentLayers(subject, state);
  const below = l === 0 || !net.climbs(data, given) ? "x" : layerName(l - 1);
  const unit = layerName(l);
  return {
    up: `q(${unit} | ${below})`,
    down: l === net.last ? `p(${unit})` : `p(${unit} | ${layerName(l + 1)})`,
    site: "p(bit | rest)",
  };
}

function levelWords({ net }, l, y, q, p) {
  const [below, above] = [q.mean(), p.mean()];
  if (!net.bits) {
    const apart = below.reduce((sum, value, unit) => sum + Math.abs(value - above[unit]), 0) / y.length;
    return `The means of q and p differ by ${apart.toFixed(2)} on average. Full colour is \u00b13.`;
  }
  const on = y.reduce((sum, value) => sum + value, 0);
  const [more, less] = [below, above].map((means) => means.reduce((sum, value) => sum + value, 0).toFixed(1));
  const apart = below.filter((value, unit) => Math.abs(value - above[unit]) > 0.5).length;
  return `${on} of ${y.length} bits are 1; q expects ${more}, p ${less}. They differ by more than 0.5 in ${apart} bits, and KL[q || p] is ${nats(bitsKL(below, above))}.`;
}

function bottomOf(subject, { theme }) {
  const { data, net } = subject;
  const name = `p(x | ${layerName(0)})`;
  const shown = data.image ? bottomImages(data, theme, name) : columnsTable({ data, heads: ["x, the row", name], label: `The row, and ${name}` });
  const title = h("span", { class: "soft" });
  const show = ({ row, x: observed, data: values, ys, given }) => {
    title.textContent = [`row ${row}`, classOf(data, row), observed ? "" : "not observed"].filter(Boolean).join(", ");
    shown.show([observed ?? values.map(() => NaN), net.child(0, ys[0], 1, given).mean()]);
  };
  const element = h("section", { class: "level" }, h("div", { class: "heading" }, h("h2", { text: `x: ${data.size} ${subject.whole}` }), title), shown.element);
  return { element, show };
}

function bottomImages(data, theme, name) {
  const views = ["x, the row", name].map((label) => observationView({ data, theme, label, size: 150 }));
  const element = h("div", { class: "pictures" }, figure("x, the row", views[0].element), figure(name, views[1].element));
  return { element, show: (observations) => observations.forEach((x, place) => views[place].show(x)) };
}

function numbersOf({ net }, { ys, x, given }) {
  const names = ys.map((_, l) => layerName(l)).join(", ");
  const total = logJointOf(net, ys, x, given);
  const pairs = [[x ? `log p(x, ${names})` : `log p(${names})`, nats(total)]];
  if (x) pairs.push([`log p(x | ${layerName(0)})`, nats(net.child(0, ys[0], 1, given).logProb(x)[0])]);
  ys.forEach((y, l) => pairs.push([`log ${l === net.last ? `p(${layerName(l)})` : `p(${layerName(l)} | ${layerName(l + 1)})`}`, nats(net.above(l, ys, 1).logProb(y)[0])]));
  return pairs;
}

function spoken(subject, now) {
  const [[name, text]] = numbersOf(subject, now);
  return `${name} is ${text}`;
}
