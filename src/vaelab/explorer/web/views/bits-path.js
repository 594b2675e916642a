// The way from the code of one row to that of another, one flip after the other.

import { button, choice } from "../ui/controls.js";
import { columnsTable } from "../ui/columns.js";
import { differenceLegend, differenceView, largest, signed } from "../ui/difference.js";
import { fill, h, unique } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { placeIn } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { figure, numbersList } from "../ui/parts.js";
import { rowChoice } from "../ui/rows.js";
import { inSlices } from "../ui/work.js";
import { alongPath, change, differing, logJoint, meanSize, pathFlips } from "./bits-numbers.js";
import { nats, subjectOf } from "./bits-subject.js";

const FILM = 12; // pictures of the strip, at most
const NAMES = {
  likely: "flip next what raises log p(x, z) of row B most",
  small: "flip next what changes p(x|z) least",
  large: "flip next what changes p(x|z) most",
  index: "from the first bit to the last",
};

export const pathPart = {
  name: "path",
  title: "Between two rows",
  mount(root, context) {
    const subject = subjectOf(context.run);
    const part = partsOf(subject, context);
    fill(root, part.controls, part.sentence, part.film, part.stepper, part.pictures.element);
    let [stop, path] = [() => {}, null];
    const showStep = () => part.showStep(path);
    const compute = () => {
      stop();
      path = null;
      const ends = endsOf(subject, context.state);
      const length = differing(ends.a, ends.b).length;
      part.showStart(measured(subject, { ...ends, flips: [] }), length);
      let found = [];
      stop = inSlices(pathFlips({ ...subject, ...ends, order: orderOf(context.state) }), {
        each: (flips) => { found = flips; },
        pause: () => { part.sentence.textContent = `Rows A and B differ in ${length} of ${subject.dim} bits. The path is being computed: flip ${found.length} of ${length}.`; },
        done: () => {
          path = measured(subject, { ...ends, flips: found.slice() });
          part.showPath(path);
          showStep();
        },
      });
    };
    const update = (changed) => {
      part.updateRows();
      if (changed === null || changed.some((key) => ["bits.a", "bits.b", "bits.order"].includes(key))) compute();
      else if (path) showStep();
    };
    update(null);
    return { update, unmount: () => stop() };
  },
};

/** Return the codes of the rows A and B of the state; what p(x|z) is given, and x, are those of B. */
function endsOf(subject, state) {
  const [first, last] = [subject.rowAt(state, "bits.a", 0), subject.rowAt(state, "bits.b", otherRow(subject))];
  return { first, last, a: subject.codeOf(first), b: subject.codeOf(last), x: subject.data.row(last), given: subject.givenOf(last) };
}

function otherRow({ data }) {
  const other = data.labels ? data.labels.findIndex((label) => label !== data.labels[0]) : 1;
  return Math.min(data.count - 1, Math.max(other, 0));
}

function orderOf(state) {
  const order = state.get("bits.order", "likely");
  return Object.hasOwn(NAMES, order) ? order : "likely";
}

function partsOf(subject, context) {
  const { state } = context;
  const rows = [
    rowChoice(state, "bits.a", { data: subject.data, label: "Row A" }),
    rowChoice(state, "bits.b", { data: subject.data, label: "Row B", value: otherRow(subject) }),
  ];
  const order = choice(state, "bits.order", { label: "Order", options: Object.entries(NAMES) });
  const [sentence, film] = [h("p", { class: "finding" }), h("div", { class: "film", role: "group", "aria-label": "Pictures along the path" })];
  const stepper = stepperOf(state);
  const pictures = pathPictures(subject, context);
  return {
    controls: h("div", {}, rows.map((row) => h("div", { class: "controls" }, row.element)), h("div", { class: "controls" }, order, explanation(subject))),
    sentence,
    film,
    stepper: stepper.element,
    pictures,
    /** Show the rows, and p(x|z) of A, until the path is known. */
    showStart(start, length) {
      sentence.textContent = `Rows A and B differ in ${length} of ${subject.dim} bits. The path is being computed.`;
      film.classList.add("stale");
      pictures.show(start, 0);
    },
    updateRows: () => rows.forEach((row) => row.update()),
    showPath(path) {
      sentence.textContent = pathWords(subject, path);
      stepper.setLength(path.flips.length);
      film.classList.remove("stale");
      fillFilm(film, subject, context, path);
    },
    showStep(path) {
      const step = stepOf(state, path.flips.length);
      stepper.show(step, path.flips.length);
      pictures.show(path, step);
      for (const frame of film.children) frame.setAttribute("aria-current", String(Number(frame.dataset.step) === step));
    },
  };
}

function stepOf(state, length) {
  return placeIn(state, "bits.step", length, Math.round(length / 2));
}

function stepperOf(state) {
  const id = unique("step");
  const input = h("input", { type: "range", id, min: 0, max: 1, step: 1, class: "wide" });
  const shown = h("output", { for: id, class: "value" });
  input.addEventListener("input", () => state.set({ "bits.step": Number(input.value) }));
  return {
    element: h("div", { class: "control stepper" }, h("label", { for: id, text: "Flips from A" }), input, shown),
    setLength: (length) => { input.max = length; },
    show(step, length) {
      input.value = step;
      shown.textContent = `${step} of ${length}`;
    },
  };
}

/** Pictures of p(x|z) along the path; of a table, the columns that have changed most since A. */
function fillFilm(film, { data, units }, { state, theme }, path) {
  const length = path.flips.length;
  fill(film, framesOf(path, data.image ? FILM : 5).filter((step) => data.image || step > 0).map((step) => {
    const label = `p(x|z) after ${flipsOf(step)}`;
    const view = data.image ? observationView({ data, theme, label, size: 84 }) : differenceView({ data, label: `change after ${flipsOf(step)}`, columns: 4 });
    view.show(data.image ? path.means[step] : change(path.means[0], path.means[step], units));
    const text = step === 0 ? "A" : `${step === length ? "B, " : ""}${flipsOf(step)}`;
    const frame = button("", () => state.set({ "bits.step": step }), { class: "frame", "aria-label": `After ${flipsOf(step)}`, "data-step": step });
    return fill(frame, view.element, h("span", { text: data.image || step === 0 ? text : `${text}: change since A` }));
  }));
}

/** The steps of the strip: p(x|z) changes as much from each to the next, as far as the steps allow. */
function framesOf({ means, sizes }, most) {
  const ways = sizes.reduce((sums, size) => [...sums, sums[sums.length - 1] + size], [0]);
  const total = ways[ways.length - 1];
  const last = means.length - 1;
  const count = Math.min(most, means.length);
  const steps = Array.from({ length: count }, (_, place) => ways.findIndex((way) => way >= (total * place) / Math.max(1, count - 1) - 1e-9));
  return [...new Set([...steps.slice(0, -1), last])];
}

function pathPictures(subject, { theme }) {
  const { data, model, units } = subject;
  const shown = data.image ? pathImages(data, theme) : columnsTable({ data, heads: ["Row A", "p(x|z) here", "Row B", "Last flip"], label: "The rows, and p(x|z)" });
  const numbers = numbersList();
  const show = (path, step) => {
    const z = path.codes[step];
    shown.show([data.row(path.first), path.means[step], data.row(path.last)], change(path.means[Math.max(0, step - 1)], path.means[step], units));
    numbers.show([
      ["Last flip", step === 0 ? "none" : `${subject.nameOf(path.flips[step - 1])} to ${z[path.flips[step - 1]]}`],
      ["log p(row A, z)", nats(logJoint(model, data.row(path.first), z, 1, path.given)[0])],
      ["log p(row B, z)", nats(logJoint(model, path.x, z, 1, path.given)[0])],
      ["log p(z)", nats(model.prior(1).logProb(z)[0])],
    ]);
  };
  return { element: h("section", {}, shown.element, numbers.element), show };
}

function pathImages(data, theme) {
  const size = 150;
  const titles = ["Row A", "p(x|z) here", "Row B"];
  const views = titles.map((label) => observationView({ data, theme, label, size }));
  const difference = differenceView({ data, theme, label: "change of p(x|z) by the last flip", size });
  const legend = differenceLegend();
  const figures = titles.map((title, place) => figure(title, views[place].element));
  const element = h("div", { class: "pictures" }, figures, figure("Change by the last flip", difference.element, legend.element));
  const show = (observations, moved) => {
    observations.forEach((x, place) => views[place].show(x));
    const most = largest(moved, 0.01);
    difference.show(moved, { most });
    legend.show(most);
  };
  return { element, show };
}

function explanation(subject) {
  const given = subject.model.given ? ["What the model is given is that of row B, all along the path."] : [];
  return explain(
    "the path",
    "A shortest path from one code to another flips each bit in which they differ once. The number of flips is the Hamming distance of the codes; only their order can be chosen. Look for where the picture changes from the one kind of row to the other, and whether the pictures between look like data.",
    ...given,
  );
}

/** Add p(x|z) of every code of a path, and the mean size of its change by each flip. */
function measured({ model, units }, path) {
  const codes = Array.from({ length: path.flips.length + 1 }, (_, step) => alongPath(path.a, path.flips, step));
  const means = codes.map((z) => model.decode(z, 1, path.given));
  const sizes = means.slice(1).map((mean, step) => meanSize(change(means[step], mean, units)));
  return { ...path, codes, means, sizes };
}

/** Say how long the path is, how log p(x, z) changes on it, which flip changes most, and where p(z) is lowest. */
function pathWords(subject, { first, last, x, given, flips, codes, sizes }) {
  const { model } = subject;
  const length = flips.length;
  if (length === 0) return `The rows ${first} and ${last} have the same code: there is nothing to flip.`;
  const [start, end] = [codes[0], codes[length]].map((z) => logJoint(model, x, z, 1, given)[0]);
  const prior = codes.map((z) => model.prior(1).logProb(z)[0]);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const most = sizes.indexOf(Math.max(...sizes));
  const lowest = prior.indexOf(Math.min(...prior));
  const depth = Math.min(prior[0], prior[length]) - prior[lowest];
  const valley = depth > 0.05 ? ` log p(z) is lowest after ${lowest} flips, ${nats(depth)} below its lower end: the prior finds the codes between less likely.` : "";
  return `Rows A and B differ in ${length} of ${subject.dim} bits, so the path has ${length} ${length === 1 ? "flip" : "flips"}. On it, log p(x, z) of row B changes by ${signed(end - start, 1)} nats. The ${ordinal(most + 1)} flip, of ${subject.nameOf(flips[most])}, changes p(x|z) most: ${(100 * sizes[most] / Math.max(total, 1e-12)).toFixed(0)} % of all changes on the path.${valley}`;
}

function flipsOf(step) {
  return `${step} ${step === 1 ? "flip" : "flips"}`;
}

function ordinal(number) {
  const ending = number % 100 > 10 && number % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][number % 10] ?? "th");
  return `${number}${ending}`;
}
