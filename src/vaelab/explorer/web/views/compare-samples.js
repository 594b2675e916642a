// Samples of every run from the same random numbers.

import { choice } from "../ui/controls.js";
import { h } from "../ui/dom.js";
import { ownOf, placeIn } from "../ui/numbers.js";
import { chosenRow } from "./compare-input.js";
import { drawSamples, KINDS } from "./sample-draws.js";
import { samplePanel } from "./sample-panels.js";

/** Return the section with samples of every run: `{ element, show() }`. */
export function sameSeed({ page, state, theme }) {
  const panels = page.runs.map((run) => ({ run, ...samplePanel({ data: run.data, theme, title: run.title, kind: "mean", onpick: (place) => state.set({ "compare.pick": place }) }) }));
  const kinds = KINDS.map(([kind, title]) => [kind, title.toLowerCase()]);
  return {
    element: h(
      "section",
      {},
      h("h2", { text: "The same random numbers" }),
      h("p", { class: "soft", text: "Each run draws codes from its own prior, with the seed above. Runs with the same kind and size of code, and the same prior, draw the same codes." }),
      h("div", { class: "controls" }, choice(state, "compare.kind", { label: "Show", options: kinds })),
      h("div", { class: "sample-panels" }, panels.map((panel) => panel.element)),
    ),
    show() {
      for (const panel of panels) showSamples(panel, state);
    },
  };
}

function showSamples(panel, state) {
  const { run } = panel;
  const kind = state.get("compare.kind", "mean");
  const n = run.data.image ? 16 : 4;
  const seed = state.get("compare.seed", 0);
  const given = run.data.given ? run.data.givenRows(n, chosenRow(state, run.data)) : null;
  const settings = `${seed} ${given}`;
  if (panel.settings !== settings) panel.drawn = drawSamples(run, { n, temperature: 1, seed, component: null, given });
  panel.settings = settings;
  panel.show(ownOf(panel.drawn, kind, "mean"), n, placeIn(state, "compare.pick", n - 1), kind === "mean");
}
