// Estimators: the spread of the gradient of each estimator beside the exact gradient, on a model of a few bits.

import { ESTIMATORS, openTally, sampler } from "../engine/estimators.js";
import { random } from "../engine/random.js";
import { exact } from "../engine/toy.js";
import { button, numberField, slider } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { openCloud } from "./estimators-picture.js";
import { openTable } from "./estimators-rows.js";
import { modelOf, openStage, settingsOf } from "./estimators-stage.js";

const MOST = 20000; // estimates of each
const PILOT = 200; // estimates that only set the axes
const AT_ONCE = 1000; // where the page must not move by itself, or is paused
const BUDGET = 7; // milliseconds of a frame for the estimates

export const estimatorsView = {
  name: "estimators",
  title: "Estimators",
  about: "How much does each gradient estimator scatter, and around which value? A model of a few bits, whose exact gradient is known.",
  applies: (page, run) => (run.model.code === "bits" ? true : "This model has no bits: its gradient passes through the code, and needs none of these estimators."),
  mount,
};

function mount(root, { state, theme, say }) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const table = openTable();
  const stage = openStage(state);
  const count = h("span", { class: "value count" });
  let [experiment, wanted, running, timer, written] = [null, !still, false, 0, 0];

  const draw = (now = performance.now(), force = false) => {
    const frame = { ...experiment, colours: coloursOf(theme), showLast: !running };
    table.draw(frame);
    if (!force && now - written < 200) return;
    written = now;
    table.write(frame);
    count.textContent = `${experiment.count.toLocaleString("en")} estimates of each`;
  };
  const start = (go) => {
    running = go && experiment.count < MOST;
    toggle.textContent = running ? "Pause" : "Run";
    cancelAnimationFrame(timer);
    if (running) timer = requestAnimationFrame(step);
    draw(performance.now(), true);
  };
  const step = (now) => {
    experiment.grow(Math.min(MOST - experiment.count, Math.max(1, Math.round(experiment.count / 30))), performance.now() + BUDGET);
    draw(now);
    if (experiment.count < MOST) timer = requestAnimationFrame(step);
    else finish();
  };
  const finish = () => {
    start(false);
    say(`${experiment.count} estimates of each estimator are drawn.`);
  };
  const toggle = button("Pause", () => start((wanted = !running)));
  const one = button("One more", () => {
    start((wanted = false));
    experiment.grow(Math.min(1, MOST - experiment.count));
    draw(performance.now(), true);
  });
  const begin = () => {
    const settings = settingsOf(state);
    const model = modelOf(settings);
    stage.show(settings, model);
    experiment = openExperiment(model, settings);
    table.show(experiment.estimators, settings);
    table.measure();
    if (!wanted) experiment.grow(AT_ONCE);
    start(wanted);
  };
  const resized = new ResizeObserver(() => {
    table.measure();
    draw(performance.now(), true);
  });
  fill(root, h("div", { class: "toy-layout" }, sideOf(stage.element), h("section", { class: "drawn", "aria-label": "The estimates" }, controlsOf(state, [toggle, one], count), table.element, legendOf())));
  begin();
  resized.observe(root);
  return {
    update(keys) {
      if (keys.every((key) => key === "estimators.zoom")) {
        experiment.zoom(settingsOf(state).zoom);
        draw(performance.now(), true);
      } else if (keys.some((key) => key.startsWith("estimators."))) begin();
    },
    unmount() {
      cancelAnimationFrame(timer);
      resized.disconnect();
    },
  };
}

/** Return the estimators that the objective has, with what they have drawn so far, and axes on which all of it fits. */
function openExperiment(model, settings) {
  const { shown, objective, samples, seed } = settings;
  const estimators = ESTIMATORS.filter((estimator) => estimator.objectives.includes(objective));
  const target = exact(model, objective, samples).gradient[shown];
  const pilots = estimators.map((estimator) => pilotOf(estimator, model, settings));
  const reach = Math.max(0.01, ...pilots.map((pilot) => Math.abs(pilot.mean - target) + 3.2 * pilot.deviation));
  const kept = estimators.map((estimator) => ({
    next: sampler(estimator, model, settings, random(seed).fork(estimator.name)),
    values: new Float32Array(MOST),
    tally: openTally(),
    cloud: null,
  }));
  const experiment = {
    estimators,
    kept,
    axis: null,
    powers: powersFor(pilots),
    exact: target,
    count: 0,
    /** Show another part of the axis around the exact gradient. */
    zoom(times) {
      experiment.axis = { low: target - reach / 2 ** times, high: target + reach / 2 ** times };
      for (const each of kept) {
        each.cloud = openCloud(experiment.axis);
        each.values.subarray(0, experiment.count).forEach(each.cloud.add);
      }
    },
    /** Draw more estimates of each, as far as the time of a frame allows; at least one. */
    grow(more, until = Infinity) {
      for (let made = 0; made < more && (made === 0 || performance.now() < until); made += 1) {
        for (const { next, values, tally, cloud } of kept) {
          const value = next()[shown];
          values[experiment.count] = value;
          tally.add(value);
          cloud.add(value);
        }
        experiment.count += 1;
      }
    },
  };
  experiment.zoom(settings.zoom);
  return experiment;
}

function pilotOf(estimator, model, settings) {
  const tally = openTally();
  const next = sampler(estimator, model, settings, random("pilot").fork(estimator.name));
  for (let drawn = 0; drawn < PILOT; drawn += 1) tally.add(next()[settings.shown]);
  return tally;
}

/** Return the powers of ten that hold the variances, at least two of them apart. */
function powersFor(pilots) {
  const logs = pilots.map((pilot) => Math.log10(Math.max(1e-8, pilot.variance)));
  const low = Math.floor(Math.min(...logs) - 0.15);
  const high = Math.max(low + 2, Math.ceil(Math.max(...logs) + 0.15));
  const every = Math.ceil((high - low) / 3);
  return { low, high, lines: Array.from({ length: high - low + 1 }, (_, place) => low + place), ticks: Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, place) => low + every * place) };
}

function coloursOf(theme) {
  const names = { ink: "ink", soft: "soft", line: "line", exact: "accent" };
  const found = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, theme.colour(name)]));
  return { ...found, unbiased: theme.classColour(0), biased: theme.classColour(1) };
}

/** The model and the settings: beside the picture, or folded above it where the window is narrow. */
function sideOf(content) {
  return h("details", { class: "toy-side", open: window.innerWidth > 720 }, h("summary", { text: "Model and settings" }), content);
}

function controlsOf(state, buttons, count) {
  return h(
    "div",
    { class: "controls" },
    buttons,
    numberField(state, "estimators.seed", { label: "Seed" }),
    slider(state, "estimators.zoom", { label: "Zoom", min: 0, max: 5, step: 0.5, value: 0, format: (value) => `${(2 ** value).toFixed(value % 1 ? 1 : 0)}×` }),
    count,
  );
}

function legendOf() {
  const mark = (kind, text) => h("li", {}, h("span", { class: `mark ${kind}`, "aria-hidden": "true" }), text);
  return h(
    "ul",
    { class: "estimates-marks" },
    mark("exact", "the exact gradient, summed over all codes"),
    mark("unbiased", "an unbiased estimator: how often each value came (square-root scale), and below it the latest values"),
    mark("biased", "a biased estimator"),
    mark("mean", "mean, with a bar of one standard deviation to each side"),
  );
}
