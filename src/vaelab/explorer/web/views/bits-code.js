// One code: flip its bits, and see p(x|z), what changed, and which flips change most.

import { button } from "../ui/controls.js";
import { columnsTable } from "../ui/columns.js";
import { differenceLegend, differenceView, largest, signed } from "../ui/difference.js";
import { fill, h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { numbersToText, placeIn } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { figure, numbersList } from "../ui/parts.js";
import { classOf, rowChoice } from "../ui/rows.js";
import { inSlices } from "../ui/work.js";
import { switchGrid } from "./bits-grid.js";
import { meaningPanel } from "./bits-meaning.js";
import { neighboursPanel } from "./bits-neighbours.js";
import { change, codeOfText, differing, flipped, flips, logJoint, meanSize } from "./bits-numbers.js";
import { nats, subjectOf } from "./bits-subject.js";

export const codePart = {
  name: "code",
  title: "One code",
  mount(root, context) {
    const subject = subjectOf(context.run);
    const { state } = context;
    const part = partsOf(subject, context);
    fill(root, part.controls, h("div", { class: subject.data.image ? "split" : "split of-table" }, h("section", {}, part.grid.element, part.sentence), part.pictures.element), part.meaning.element, part.neighbours.element);
    let stop = () => {};
    const update = (changed) => {
      const now = currentCode(subject, state);
      part.row.update();
      part.pictures.show(now);
      if (state.get("bits.bit") !== null) part.meaning.show(now.selected);
      if (changed && changed.every((key) => key === "bits.bit")) {
        part.grid.show({ ...now, effects: part.effects });
        return;
      }
      part.grid.show(now);
      part.effects = null;
      stop();
      stop = findEffects(subject, now, (found) => {
        part.effects = effectsOf(found, subject.dim);
        subject.strongest = found.reduce((best, flip) => (flip.effect > best.effect ? flip : best)).place;
        part.meaning.show(currentCode(subject, state).selected);
        part.grid.show({ ...currentCode(subject, state), effects: part.effects });
        part.neighbours.show(now, found);
        part.sentence.textContent = sentence(subject, now, found);
      });
    };
    update(null);
    return {
      update,
      unmount() {
        stop();
        part.grid.unmount();
        part.meaning.unmount();
      },
    };
  },
};

/** Return the code that the state names, with the row and what it is given. */
export function currentCode(subject, state) {
  const row = subject.rowAt(state, "bits.row");
  const before = subject.codeOf(row);
  const z = codeOfText(state.get("bits.code"), subject.dim) ?? before;
  const selected = placeIn(state, "bits.bit", subject.dim - 1, subject.strongest ?? 0);
  const probabilities = subject.codes.subarray(row * subject.dim, (row + 1) * subject.dim);
  return { row, before, z, selected, probabilities, x: subject.data.row(row), given: subject.givenOf(row) };
}

function partsOf(subject, context) {
  const { state } = context;
  const set = (z, more = {}) => state.set({ "bits.code": numbersToText(z), ...more });
  const flip = (place) => {
    const now = currentCode(subject, state);
    const z = flipped(now.z, place);
    set(z, { "bits.bit": place });
    context.say(spokenChange(subject, now, z, place));
  };
  const { nameOf, sizes } = subject;
  const titles = sizes.map((size, layer) => (sizes.length === 1 ? `Code of ${size} bits` : layerTitle(layer, size)));
  const row = rowChoice(state, "bits.row", { data: subject.data, also: { "bits.code": null } });
  return {
    row,
    effects: null,
    controls: h("div", { class: "controls" }, row.element, actions(subject, context, set), codeExplanation(subject)),
    grid: switchGrid({ sizes, titles, nameOf, onFlip: flip, onSelect: (place) => state.set({ "bits.bit": place }) }),
    sentence: h("p", { class: "finding" }),
    pictures: picturesOf(subject, context),
    meaning: meaningPanel(subject, context),
    neighbours: neighboursPanel(subject, context, flip),
  };
}

function layerTitle(layer, size) {
  return `Layer ${layer + 1}: ${size} bits, ${layer === 0 ? "nearest to x" : `above layer ${layer}`}`;
}

function actions(subject, context, set) {
  const { state, rng } = context;
  const draw = (choose, name) => () => {
    const draws = state.get("bits.draw", 0) + 1;
    set(choose(currentCode(subject, state), rng(draws).fork(name)), { "bits.draw": draws });
  };
  const { model } = subject;
  return h(
    "div",
    { class: "control actions" },
    button("Code of the row", () => state.set({ "bits.code": null }), { title: "Each bit has its more probable value in q(z|x)" }),
    button("Draw from q(z|x)", draw(({ x, given }, rng) => model.posterior(x, 1, given).sample(rng), "posterior")),
    button("Draw from the prior", draw((_, rng) => model.prior(1).sample(rng), "prior")),
  );
}

function codeExplanation(subject) {
  const layers = subject.sizes.length > 1 ? ["Of a higher layer, the code of the row is that of q given the means of the layer below. p(x|z) reads layer 1 only. A flip in a higher layer changes log p(z), and leaves p(x|z) as it is; the view Layers shows what it does to layer 1."] : [];
  const units = subject.hasUnits ? ["Real numbers and counts change in standard deviations (sd) of their column over the rows of the page."] : [];
  return explain(
    "the code",
    "A filled switch is a bit that is 1. A ring marks a bit that differs from the code of the row. The line under a switch is longer the more the flip changes p(x|z). Arrow keys move, Space flips.",
    "The code of a row has for each bit the more probable value under q(z|x). Bits and rows are numbered from 0.",
    ...layers,
    ...units,
    formula("joint"),
  );
}

function picturesOf(subject, context) {
  const { data, model, units } = subject;
  const shown = data.image ? images(subject, context) : table(data);
  const numbers = numbersList();
  const show = ({ row, before, z, x, given }) => {
    const [from, to] = [model.decode(before, 1, given), model.decode(z, 1, given)];
    const moved = change(from, to, units);
    shown.show({ row, x, from, to, moved });
    numbers.show(numbersOf(subject, { before, z, x, given, moved }));
  };
  return { element: h("section", {}, shown.element, numbers.element), show };
}

function images({ data }, { theme }) {
  const size = 150;
  const view = (label) => observationView({ data, theme, label, size });
  const [row, coded, now] = [view("the row x"), view("p(x|z) of the row's code"), view("p(x|z) of this code")];
  const difference = differenceView({ data, theme, label: "change of p(x|z)", size });
  const legend = differenceLegend();
  const title = h("span");
  const element = h(
    "div",
    { class: "pictures images" },
    figureOf(title, row),
    figure("p(x|z), the row's code", coded.element),
    figure("p(x|z), this code", now.element),
    figure("Change of p(x|z)", difference.element, legend.element),
  );
  const show = ({ row: index, x, from, to, moved }) => {
    title.textContent = [`x, row ${index}`, classOf(data, index)].filter(Boolean).join(", ");
    row.show(x);
    coded.show(from);
    now.show(to);
    const most = largest(moved, 0.01);
    difference.show(moved, { most });
    legend.show(most);
  };
  return { element, show };
}

function table(data) {
  const view = columnsTable({ data, heads: ["x, the row", "p(x|z), row\u2019s code", "p(x|z), this code", "Change"], label: "The row, and p(x|z)" });
  return { element: view.element, show: ({ x, from, to, moved }) => view.show([x, from, to], moved) };
}

function figureOf(title, view) {
  return h("figure", {}, h("figcaption", {}, title), view.element);
}

function numbersOf(subject, { before, z, x, given, moved }) {
  const [own] = logJoint(subject.model, x, before, 1, given);
  const [joint] = logJoint(subject.model, x, z, 1, given);
  const strong = moved.filter((value) => Math.abs(value) > 0.1).length;
  return [
    ["Bits flipped", `${differing(before, z).length} of ${subject.dim}`],
    ["log p(x, z)", nats(joint)],
    ["log p(x, z) of the row's code", nats(own)],
    ["Change of log p(x, z)", `${signed(joint - own, 1)} nats`],
    ["Mean size of the change of p(x|z)", meanSize(moved).toFixed(4)],
    [`${subject.data.image ? "Pixels" : "Columns"} that change by over 0.1`, `${strong} of ${moved.length}`],
  ];
}

function spokenChange(subject, now, z, place) {
  const { model, units } = subject;
  const [before, after] = [now.z, z].map((code) => logJoint(model, now.x, code, 1, now.given)[0]);
  const moved = change(model.decode(now.z, 1, now.given), model.decode(z, 1, now.given), units);
  return `${subject.nameOf(place)} is now ${z[place]}: log p(x, z) changes by ${signed(after - before, 1)} nats, p(x|z) by ${meanSize(moved).toFixed(4)} on average`;
}

function findEffects(subject, { z, x, given }, done) {
  const places = Array.from({ length: subject.dim }, (_, place) => place);
  const found = [];
  const work = flips({ ...subject, z, x, given, places });
  return inSlices(work, { each: (flip) => found.push(flip), done: () => done(found) });
}

function effectsOf(found, dim) {
  const effects = new Float64Array(dim);
  for (const { place, effect } of found) effects[place] = effect;
  return effects;
}

function sentence(subject, now, found) {
  const byEffect = [...found].sort((a, b) => b.effect - a.effect);
  const better = found.filter(({ nats: change }) => change > 0).length;
  const [first] = byEffect;
  const read = byEffect.filter(({ place }) => place < subject.nearest);
  const median = read[Math.floor(read.length / 2)].effect;
  const still = read.filter(({ effect }) => effect < 0.001).length;
  const raise = better === 0 ? "No single flip raises log p(x, z)" : `${better} of the ${found.length} single flips ${better === 1 ? "raises" : "raise"} log p(x, z)`;
  return `${raise}. The flip of ${subject.nameOf(first.place)} changes p(x|z) most, by ${first.effect.toFixed(3)} on average over the ${subject.whole}; the median flip changes it by ${Number(median.toPrecision(2))}${still ? `, and ${still} by less than 0.001` : ""}.`;
}

