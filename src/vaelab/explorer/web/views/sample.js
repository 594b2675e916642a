// Sample: the same codes of the prior, shown as means, most probable values and draws.

import { button, choice, numberField, slider } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { givenControl, givenRows } from "../ui/given.js";
import { placeIn } from "../ui/numbers.js";
import { pictureButtons, saveTable, sheet } from "../ui/save.js";
import { sampleDetail } from "./sample-detail.js";
import { componentsOf, drawSamples, KINDS, temperatureWords } from "./sample-draws.js";
import { samplePanel, tableOfSamples } from "./sample-panels.js";

export const sampleView = {
  name: "sample",
  title: "Sample",
  about: "Draws codes from the prior p(z), and shows what the model makes of each: the mean of p(x|z), its most probable value, and a draw.",
  applies: () => true,
  mount,
};

function mount(root, { run, state, theme, say, canOpen = () => false }) {
  const { data } = run;
  const onpick = (place) => state.set({ "sample.pick": place });
  const panels = KINDS.map(([kind, title]) => ({ kind, ...samplePanel({ data, theme, title, kind, onpick }) }));
  const detail = sampleDetail({ run, state, theme, canOpen });
  const status = h("output", { class: "small soft" });
  const told = (text) => {
    status.textContent = text;
    say(text);
  };
  let drawn = null;
  const first = firstKind(data);
  const shownKinds = () => {
    const chosen = panels.filter((panel) => ["all", panel.kind].includes(state.get("sample.kind", first)));
    return chosen.length ? chosen : panels;
  };
  const area = h("div", { class: "sample-panels" }, panels.map((panel) => panel.element));
  const files = filesOf({ run, theme, shownKinds, drawn: () => drawn, told });
  fill(root, controls(run, state, first), h("div", { class: "sample-layout" }, h("div", {}, area, h("div", { class: "button-row" }, files, status)), detail.element));
  const redraw = () => {
    const settings = settingsOf(run, state);
    drawn = { n: settings.n, given: settings.given, ...drawSamples(run, settings) };
  };
  const show = () => {
    const pick = placeIn(state, "sample.pick", drawn.n - 1);
    const kinds = shownKinds();
    area.dataset.count = kinds.length;
    for (const panel of panels) {
      panel.element.hidden = !kinds.includes(panel);
      if (kinds.includes(panel)) panel.show(drawn[panel.kind], drawn.n, pick);
    }
    const part = (values, width) => values.subarray(pick * width, (pick + 1) * width);
    const kind = kinds[kinds.length - 1].kind;
    const given = drawn.given && part(drawn.given, drawn.given.length / drawn.n);
    detail.show({ place: pick, kind, x: part(drawn[kind], data.size), mode: part(drawn.mode, data.size), z: part(drawn.z, run.model.dim), given });
  };
  redraw();
  show();
  return updates(redraw, show);
}

/** Draw anew at most once a frame; only what was changed. */
function updates(redraw, show) {
  let [frame, stale] = [0, false];
  return {
    update(keys) {
      stale ||= keys === null || keys.some((key) => key.startsWith("sample.") && !["sample.pick", "sample.kind"].includes(key));
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => {
        if (stale) redraw();
        stale = false;
        show();
      });
    },
    unmount: () => cancelAnimationFrame(frame),
  };
}

/** What is shown first: all three kinds where they stand side by side, draws of a table, means on a phone. */
function firstKind(data) {
  if (!data.image) return "draw";
  return matchMedia("(max-width: 40rem)").matches ? "mean" : "all";
}

function controls(run, state, first) {
  const counts = countsOf(run);
  const components = componentsOf(run);
  const again = () => state.set({ "sample.seed": state.get("sample.seed", 0) + 1 });
  return h(
    "div",
    { class: "controls" },
    h(
      "div",
      { class: "control" },
      choice(state, "sample.kind", { label: "Show", options: [["all", "all three"], ...KINDS.map(([kind, title]) => [kind, title.toLowerCase()])], value: first }),
      explain("means, most probable values and draws", "All three are of the same codes. A mean is the probability of each value. The most probable value is an observation without noise. A draw is what the model takes the data to be like, noise included.", formula("sample")),
    ),
    choice(state, "sample.n", { label: "Samples", options: counts.map((count) => [String(count), String(count)]), value: String(counts[1]) }),
    h(
      "div",
      { class: "control" },
      slider(state, "sample.temperature", { label: "Temperature", min: 0, max: 2, step: 0.05, value: 1 }),
      explain("temperature", temperatureWords(run), "It changes the codes alone: p(x|z) is that of the model at every temperature."),
    ),
    components ? choice(state, "sample.component", { label: "Component", options: [["all", "all, by weight"], ...weightsOf(run)] }) : null,
    givenControl(state, "sample.given", run.data),
    numberField(state, "sample.seed", { label: "Seed" }),
    button("Draw again", again),
  );
}

function countsOf(run) {
  return run.data.image ? [9, 25, 49, 100] : [4, 8, 16];
}

function weightsOf(run) {
  return Array.from(run.model.prior(1).params.weights, (weight, place) => [String(place), `${place + 1} (weight ${weight.toFixed(2)})`]);
}

function settingsOf(run, state) {
  const counts = countsOf(run);
  const n = Math.min(400, Math.max(1, Math.round(Number(state.get("sample.n", String(counts[1])))) || counts[1]));
  const component = Number(state.get("sample.component", "all"));
  const known = Number.isInteger(component) && component >= 0 && component < componentsOf(run);
  return {
    n,
    temperature: Math.max(0, state.get("sample.temperature", 1)),
    seed: state.get("sample.seed", 0),
    component: known && state.get("sample.component", "all") !== "all" ? component : null,
    given: givenRows(state, "sample.given", run.data, n),
  };
}

/** Buttons that copy or save what is shown: images as one picture, tables as CSV. */
function filesOf({ run, theme, shownKinds, drawn, told }) {
  const name = () => `${run.title} samples`;
  if (!run.data.image) {
    return KINDS.map(([kind, title]) => {
      const save = button(`Save CSV: ${title.toLowerCase()}`, () => saveTable(tableOfSamples(run.data, drawn()[kind], drawn().n, kind), `${name()} ${kind}`));
      return save;
    });
  }
  const make = () => {
    const kinds = shownKinds();
    const columns = Math.ceil(Math.sqrt(drawn().n));
    const sheets = kinds.map((panel) => sheet(panel.canvases(), { columns, ground: theme.colour("paper") }));
    return sheets.length === 1 ? sheets[0] : sheet(sheets, { columns: sheets.length, scale: 1, gap: 16, ground: theme.colour("paper") });
  };
  return pictureButtons(make, name, told);
}
