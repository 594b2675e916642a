// Training: the curves of a run, what they show, the table of its evaluations, and how to train it again.

import { lineChart } from "../ui/chart.js";
import { choice } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { shownNumber } from "../ui/numbers.js";
import { evaluationTable, facts } from "./training-tables.js";
import { findings, selectedPoint } from "./training-words.js";

// The curves: name in the log, title, what to look for.
const CURVES = [
  ["bound", "Bound", "Look for a validation curve that has become flat: more steps would then help little. If it falls while the training curve rises, the model fits the training data too closely."],
  ["reconstruction", "Reconstruction", "How well an observation is found again from its code, the mean of log p(x|z) over codes of q(z|x). Codes that say more raise it; a bound pays for them with a higher KL."],
  ["kl", "KL", "How many nats a code tells about its observation, on average, beyond the prior. At 0 the code is ignored."],
];

export const trainingView = {
  name: "training",
  title: "Training",
  about: "How the model was trained: the curves of the bound and of its two terms, every number that was evaluated, with its protocol, and the command that trains the model again.",
  applies: (page, run) =>
    run.metrics.length || run.evaluations.length || run.facts.length ? true : "This model was saved without its training: name the run directory instead, and the page shows the curves and the evaluations.",
  mount,
};

function mount(root, { page, run, state, say }) {
  const many = page.runs.filter((each) => each.metrics.length).length > 1;
  const charts = CURVES.map(([name, title, guide]) => curveOf(name, title, guide, state));
  const controls = h(
    "div",
    { class: "controls" },
    choice(state, "training.across", { label: "Across", options: [["step", "steps"], ["seconds", "seconds of training"]] }),
    choice(state, "training.part", { label: "Show", options: [["all", "the whole training"], ["end", "the last half, enlarged"]] }),
    many ? choice(state, "training.runs", { label: "Runs", options: [["this", "this run"], ["all", "all of the page"]] }) : null,
    explain("the curves", "The dashed training curves are means over the batches since the point before, while the weights were changing. The validation curve, with dots, is that of the weights at a step, on all validation data.", formula("elbo")),
  );
  const logged = run.metrics.length > 0;
  fill(
    root,
    logged ? [controls, h("div", { class: "training-charts" }, charts.map((chart) => chart.element))] : h("p", { class: "note", text: "The log of the training is not in this page." }),
    h(
      "div",
      { class: "training-texts" },
      h("div", {}, logged ? h("section", {}, h("h2", { text: "What this run shows" }), findings(run)) : null, run.evaluations.length ? evaluationTable(run) : null),
      facts(run, say),
    ),
  );
  const show = () => {
    const shown = many && state.get("training.runs", "this") === "all" ? page.runs.filter((each) => each.metrics.length) : [run];
    for (const chart of charts) chart.show(shown, run);
  };
  if (logged) show();
  return { update: () => logged && show(), unmount() {} };
}

function curveOf(name, title, guide, state) {
  const x = { label: "step", whole: true };
  const chart = lineChart({ title, x, y: { label: "nats per observation", format: shownNumber } });
  const element = h("section", { class: "training-chart" }, chart.element, h("p", { class: "small soft", text: guide }));
  return {
    element,
    show(runs, current) {
      const across = state.get("training.across", "step") === "seconds" ? "seconds" : "step";
      x.label = across === "step" ? "step" : "seconds";
      x.whole = across === "step";
      const series = runs.flatMap((run) => seriesOf(run, name, across, runs.length > 1));
      element.hidden = !series.length;
      if (!series.length) return;
      const half = state.get("training.part", "all") === "end";
      const chosen = half ? series.map(lastHalf).filter((line) => line.points.length) : series;
      const marks = name === "bound" || !current.metrics.some((row) => "train/bound" in row) ? runs.flatMap((run) => markOf(run, name, across, runs.length > 1)) : [];
      chart.show({ series: chosen, marks: marks.filter((mark) => chosen.some((line) => line.points.some((point) => point[0] === mark.x))) });
    },
  };
}

function seriesOf(run, name, across, many) {
  const tone = many ? `class-${run.index % 10}` : "accent";
  const points = (key) => run.metrics.filter((row) => Number.isFinite(row[key])).map((row) => [row[across], row[key]]);
  const title = (what) => (many ? `${run.title}, ${what}` : what);
  const lines = [
    { name: title("training"), points: points(`train/${name}`), tone: many ? tone : "accent-2", dash: true },
    { name: title("validation"), points: points(`val/${name}`), tone, dots: true },
  ];
  const known = lines.filter((line) => line.points.length);
  return many ? known.map((line, place) => ({ ...line, key: place === known.length - 1 ? run.title : null })) : known;
}

function lastHalf(line) {
  const last = line.points[line.points.length - 1][0];
  return { ...line, points: line.points.filter((point) => point[0] >= last / 2) };
}

function markOf(run, name, across, many) {
  const point = selectedPoint(run, name);
  if (!point) return [];
  return [{ x: point[across], y: point[`val/${name}`], tone: many ? `class-${run.index % 10}` : "accent", name: many ? null : "the weights that were selected" }];
}
