// Ancestral sampling as films: the top layer from its prior, each layer from the one above, at last x.

import { button, numberField } from "../ui/controls.js";
import { fill, h, unique } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { placeIn } from "../ui/numbers.js";
import { observationView } from "../ui/observation.js";
import { unitsView } from "../ui/units.js";
import { layerName, layersOfRun } from "./layers-state.js";

const PAUSE = 900; // milliseconds between two steps

export const filmsPart = {
  name: "films",
  title: "Draws, step by step",
  mount(root, context) {
    const subject = layersOfRun(context.run);
    const { state } = context;
    const stages = stagesOf(subject);
    const stepper = stepperOf(state, stages.length - 1);
    const [text, films] = [h("p", { class: "finding" }), h("div", { class: subject.data.image ? "films" : "films of-table" })];
    const again = () => state.set({ "layers.seed": state.get("layers.seed", 0) + 1, "layers.step": 0 });
    fill(
      root,
      h("div", { class: "controls" }, stepper.element, button("Draw again", again), numberField(state, "layers.seed", { label: "Seed" }), explanation(subject)),
      text,
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Draws" }, films),
    );
    let drawn = null;
    const update = (changed) => {
      if (changed === null || changed.includes("layers.seed")) drawn = fillFilms(subject, context, stages, films);
      const step = stepper.show();
      [...films.querySelectorAll("[data-stage]")].forEach((cell) => cell.classList.toggle("hidden", Number(cell.dataset.stage) > step));
      text.textContent = `${stages[step].words} ${stages[step].finding(drawn)}`;
    };
    update(null);
    return { update, unmount: stepper.unmount };
  },
};

function stagesOf(subject) {
  const { net, data } = subject;
  const bottom = layerName(0);
  const layers = subject.sizes.map((size, l) => {
    const from = l === net.last ? `p(${layerName(l)})` : `p(${layerName(l)} | ${layerName(l + 1)})`;
    const words = l === net.last ? `The top layer is drawn from its prior, ${from}.` : `Layer ${layerName(l)} is drawn from ${from}, given the layer above.`;
    return { title: `${layerName(l)} from ${from}`, words, finding: (drawn) => layerFinding(net, drawn.ys[l], size), l };
  });
  const mean = { title: `p(x | ${bottom})`, words: `The ${subject.whole} have the probabilities or means p(x | ${bottom}).`, finding: () => "", x: "mean" };
  const draw = { title: `x from p(x | ${bottom})`, words: `x is drawn from p(x | ${bottom}), each of the ${data.size} ${subject.whole} by itself: the noise is all that layer ${bottom} does not decide.`, finding: () => "", x: "draw" };
  return [...layers.reverse(), mean, draw];
}

function layerFinding(net, values, size) {
  if (!net.bits) return "Full colour is \u00b13.";
  const on = values.reduce((sum, value) => sum + value, 0) / (values.length / size);
  return `On average over these draws, ${on.toFixed(1)} of its ${size} bits are 1.`;
}

function drawAll({ net, data }, count, rng) {
  const ys = [];
  for (let l = net.last; l >= 0; l -= 1) {
    ys[l] = net.above(l, ys, count).sample(rng.fork(`layer ${l}`));
  }
  const p = net.child(0, ys[0], count, data.givenRows(count));
  return { ys, mean: p.mean(), draw: p.sample(rng.fork("x")) };
}

function fillFilms(subject, { state, theme, rng }, stages, films) {
  const { data, net } = subject;
  const count = data.image ? 6 : 3;
  const drawn = drawAll(subject, count, rng(state.get("layers.seed", 0)).fork("films"));
  const cell = (stage, draw) => {
    const bitmap = stage.l !== undefined;
    const label = `${stage.title}, draw ${draw + 1}`;
    const view = bitmap ? unitsView({ size: subject.sizes[stage.l], bits: net.bits, theme, label, most: 160 }) : observationView({ data, theme, label, size: 160 });
    const values = bitmap ? drawn.ys[stage.l] : drawn[stage.x];
    const size = values.length / count;
    view.show(values.subarray(draw * size, (draw + 1) * size));
    return view.element;
  };
  fill(films, stages.map((stage, place) => [
    h("h2", { text: `${place + 1}. ${stage.title}` }),
    ...Array.from({ length: count }, (_, draw) => h("div", { class: draw < 3 ? "film-cell" : "film-cell later", "data-stage": place }, cell(stage, draw))),
  ]).flat());
  return drawn;
}

function stepperOf(state, last) {
  const id = unique("step");
  const input = h("input", { type: "range", id, min: 0, max: last, step: 1 });
  const shown = h("output", { for: id, class: "value" });
  const step = () => placeIn(state, "layers.step", last, last);
  let clock = 0;
  const play = button("Play", () => start());
  const stop = () => {
    clearInterval(clock);
    clock = 0;
    play.textContent = "Play";
  };
  const start = () => {
    if (clock) {
      stop();
      return;
    }
    state.set({ "layers.step": 0 });
    play.textContent = "Stop";
    clock = setInterval(() => {
      state.set({ "layers.step": step() + 1 });
      if (step() === last) stop();
    }, PAUSE);
  };
  input.addEventListener("input", () => state.set({ "layers.step": Number(input.value) }));
  return {
    element: h("div", { class: "control" }, h("label", { for: id, text: "Step" }), input, shown, play),
    show() {
      input.value = step();
      shown.textContent = `${step() + 1} of ${last + 1}`;
      return step();
    },
    unmount: stop,
  };
}

function explanation({ net }) {
  return explain(
    "ancestral sampling",
    `A draw of the model starts at the top: ${layerName(net.last)} from its prior, then each layer given the one above, and x at last. The seed decides every draw. Look for how much of the picture each layer decides.`,
  );
}
