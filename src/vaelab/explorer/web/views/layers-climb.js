// One state of all layers: each layer beside what q makes of the layer below and p of the layer above.

import { button, toggle } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { observationView } from "../ui/observation.js";
import { figure, numbersList } from "../ui/parts.js";
import { classOf, rowChoice } from "../ui/rows.js";
import { unitsView } from "../ui/units.js";
import { nats } from "./bits-subject.js";
import { bitsKL, climb, climbs, descend, gibbsSweep, logJointOf, siteLogits } from "./layers-numbers.js";
import { currentLayers, forgottenLayers, keptLayers, layersOfRun } from "./layers-state.js";

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
    const read = h("p", { class: "soft reading", text: "Point at a unit to read it." });
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
    return { update, unmount() {} };
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
    { class: "controls" },
    button("Climb: most probable", reset, { title: "From x upwards: the most probable value of each layer in q given that of the layer below" }),
    button("Climb: draw from q", act("All layers are drawn from q", ({ data, given }, rng) => climb(net, data, given, rng)), { title: "From x upwards: each layer is drawn from q given the layer below" }),
    button("Go down: draw from p", act("All layers are drawn from the prior", ({ ys }, rng) => descend(net, ys, net.last + 1, rng)), { title: "From the top: the top layer is drawn from its prior, each other layer from p given the layer above" }),
    net.bits ? button("Gibbs sweep of all layers", act("Each bit is drawn given all others", sweep), { title: "Each bit of each layer in turn is drawn from p(bit | all other bits, x)" }) : null,
  );
}

function explanation({ net }) {
  const gibbs = net.bits
    ? ["Given all others: p(bit = 1 | all other bits of all layers, and x if it is observed), exact. A Gibbs sweep draws the bits of a layer in turn from it; many sweeps draw from p(y_l | the other layers, x)."]
    : ["For real units, p(y_l | the other layers, x) has no closed form, so they are drawn from q or from p(y_l | y_l+1) only."];
  return explain(
    "the layers",
    "From below: q(y_l | y_l-1), the recognition model that was trained with p. From above: p(y_l | y_l+1), what the model expects. Where the two pictures differ, x says what the prior does not.",
    ...gibbs,
    "If x is not observed, it is left out of the layers' distributions, and sweeps lead to draws from the prior.",
  );
}

function levelOf(subject, context, l, act, read) {
  const { net, sizes, model } = subject;
  const { theme } = context;
  const names = namesOf(subject, l);
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
  const show = ({ ys, x, data, given }) => {
    const [q, p] = [net.up(l, ys, data, given), net.above(l, ys, 1)];
    views[0].show(ys[l]);
    views[1].show(q.mean());
    views[2].show(p.mean());
    if (net.bits) views[3].show(siteLogits(net, l, ys, x, given).map((logit) => 1 / (1 + Math.exp(-logit))));
    text.textContent = levelWords(subject, l, ys[l], q, p);
  };
  const kind = net.bits ? "bits" : "real numbers";
  const title = `Layer ${l + 1}${l === net.last ? `, the top${model.layers.length ? "" : " and only one"}` : ""}: ${sizes[l]} ${kind}`;
  return { element: h("section", { class: "level" }, h("h2", { text: title }), h("div", { class: "pictures" }, cards), text), show };
}

function namesOf({ net, run, data, model }, l) {
  const chained = climbs(model, data.row(0), data.givenRows(1, 0));
  const below = l === 0 || !chained ? "x" : `y${l}`;
  const unit = `y${l + 1}`;
  return {
    up: `q(${unit} | ${below})`,
    down: l === net.last ? `p(${unit})` : `p(${unit} | y${l + 2})`,
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
  const size = data.image ? 150 : 0;
  const [x, mean] = ["the row x", "p(x|y1)"].map((label) => observationView({ data, theme, label, size }));
  const title = h("span");
  const show = ({ row, x: observed, data: values, ys, given }) => {
    title.textContent = [`x, row ${row}`, classOf(data, row), observed ? "" : "not observed"].filter(Boolean).join(", ");
    x.show(observed ?? values.map(() => NaN));
    mean.show(net.child(0, ys[0], 1, given).mean());
  };
  const element = h("section", { class: "level" }, h("h2", { text: `x: ${data.size} ${subject.whole}` }), h("div", { class: "pictures" }, h("figure", {}, h("figcaption", {}, title), x.element), figure("p(x | y1)", mean.element)));
  return { element, show };
}

function numbersOf({ net }, { ys, x, given }) {
  const names = ys.map((_, l) => `y${l + 1}`).join(", ");
  const total = logJointOf(net, ys, x, given);
  const pairs = [[x ? `log p(x, ${names})` : `log p(${names})`, nats(total)]];
  if (x) pairs.push(["log p(x | y1)", nats(net.child(0, ys[0], 1, given).logProb(x)[0])]);
  ys.forEach((y, l) => pairs.push([`log ${l === net.last ? `p(y${l + 1})` : `p(y${l + 1} | y${l + 2})`}`, nats(net.above(l, ys, 1).logProb(y)[0])]));
  return pairs;
}

function spoken(subject, now) {
  const [[name, text]] = numbersOf(subject, now);
  return `${name} is ${text}`;
}
