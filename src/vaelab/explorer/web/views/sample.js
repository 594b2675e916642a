// Sample: observations drawn from the model.

import { button, choice, numberField, slider } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { observationView } from "../ui/observation.js";

export const sampleView = {
  name: "sample",
  title: "Sample",
  about: "Draws a code from the prior, then shows what the model makes of it.",
  applies: () => true,
  mount(root, { run, state, theme }) {
    const grid = h("div", { class: "grid" });
    const again = () => state.set({ "sample.seed": state.get("sample.seed", 0) + 1 });
    fill(
      root,
      h(
        "div",
        { class: "controls" },
        choice(state, "sample.kind", { label: "Show", options: [["mean", "means"], ["mode", "most probable values"], ["draw", "draws"]] }),
        slider(state, "sample.temperature", { label: "Temperature", min: 0, max: 2, step: 0.05, value: 1 }),
        numberField(state, "sample.seed", { label: "Seed" }),
        button("Draw again", again),
      ),
      grid,
    );
    const update = () => {
      const n = run.data.image ? 36 : 6;
      const kind = state.get("sample.kind", "mean");
      const drawn = run.model.sample({ n, kind, temperature: state.get("sample.temperature", 1), seed: state.get("sample.seed", 0), given: run.data.given ? run.data.givenRows(n) : null });
      fill(
        grid,
        Array.from({ length: n }, (_, place) => {
          const view = observationView({ data: run.data, theme, label: `sample ${place + 1}`, size: 84 });
          view.show(drawn.x.subarray(place * run.data.size, (place + 1) * run.data.size));
          return view.element;
        }),
      );
    };
    update();
    return { update, unmount() {} };
  },
};
