// The components of the mixture of an auto-encoder: choose one, and see what codes drawn from it decode to.

import { button, choice, numberField } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { percent } from "../ui/geometry.js";
import { thumbnails } from "./map-details.js";
import { SHARES } from "./map-prior.js";
import { givenAt } from "./map-rows.js";
import { componentOf } from "./map-scene.js";

const DRAWS = 12;

/** Return the panel of the components: `{ element, show() }`; null for a model without a mixture. */
export function openMixture(map) {
  const prior = map.run.model.prior(1);
  if (prior.kind !== "mixture") return null;
  const options = [["0", "none"], ...Array.from(prior.params.weights, (weight, c) => [String(c + 1), `${c + 1} (weight ${percent(weight)})`])];
  const again = button("Draw again", () => map.set({ seed: map.get("seed", 0) + 1 }));
  const drawn = h("div");
  let key = "";
  const element = h(
    "section",
    { class: "map-mixture", "aria-label": "Components of the mixture" },
    h("h2", { text: "Components of the mixture" }),
    h("p", { class: "small soft", text: `An ellipse is 2 standard deviations wide; the contours hold ${SHARES.map(percent).join(", ")} of the density on this plane. Click the number of a component to draw codes from it.` }),
    h("div", { class: "controls" }, choice(map.state, "map.component", { label: "Component", options }), numberField(map.state, "map.seed", { label: "Seed" }), again),
    drawn,
  );
  return {
    element,
    show() {
      const chosen = componentOf(map);
      const now = `${chosen} ${map.get("seed", 0)} ${map.get("given", "")}`;
      if (now === key) return;
      key = now;
      again.disabled = chosen < 0;
      fill(drawn, chosen < 0 ? null : drawsOf(map, chosen));
    },
  };
}

function drawsOf(map, component) {
  const { run, rng, data, theme } = map;
  const z = run.model.prior(DRAWS).sampleOf(component, rng(`map/${component}/${map.get("seed", 0)}`));
  const x = run.model.decode(z, DRAWS, givenAt(map, 0, DRAWS));
  const rows = Array.from({ length: data.image ? DRAWS : 3 }, (_, draw) => x.subarray(draw * data.size, (draw + 1) * data.size));
  return thumbnails({ data, theme, rows, label: (place) => `draw ${place + 1} of component ${component + 1}` });
}
