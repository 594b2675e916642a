// The components of the mixture of an auto-encoder: choose one, and see what codes drawn from it decode to.

import { button, choice, numberField } from "../ui/controls.js";
import { h } from "../ui/dom.js";
import { shortNumber } from "../ui/geometry.js";
import { thumbnails } from "./map-details.js";
import { SHARES } from "./map-prior.js";
import { givenAt } from "./map-rows.js";
import { componentOf } from "./map-scene.js";

const DRAWS = 12;

/** Return the panel of the components; null for a model without a mixture. */
export function mixturePanel(map) {
  const { components, state } = map;
  if (!components.length) return null;
  const chosen = componentOf(map);
  const options = [["0", "none"], ...components.map(({ weight }, c) => [String(c + 1), `${c + 1} (weight ${shortNumber(weight)})`])];
  const again = button("Draw again", () => map.set({ seed: map.get("seed", 0) + 1 }), { disabled: chosen < 0 });
  const key = `${chosen} ${map.get("seed", 0)} ${map.get("given", "")}`;
  if (map.mixture?.key !== key) map.mixture = { key, drawn: chosen < 0 ? null : drawnOf(map, chosen) };
  return h(
    "section",
    { class: "map-mixture", "aria-label": "Components of the mixture" },
    h("h2", { text: "Components of the mixture" }),
    h("p", { class: "small soft", text: `The ellipses are 2 standard deviations wide; the contours hold ${SHARES.map((share) => `${100 * share} %`).join(", ")} of the density on this plane. Click the number of a component to draw codes from it.` }),
    h("div", { class: "controls" }, choice(state, "map.component", { label: "Component", options }), numberField(state, "map.seed", { label: "Seed" }), again),
    map.mixture.drawn,
  );
}

function drawnOf(map, component) {
  const { run, rng, data, theme } = map;
  const prior = run.model.prior(DRAWS);
  const z = prior.sampleOf(component, rng(`map/${component}/${map.get("seed", 0)}`));
  const x = run.model.decode(z, DRAWS, givenAt(map, 0, DRAWS));
  const rows = Array.from({ length: DRAWS }, (_, draw) => x.subarray(draw * data.size, (draw + 1) * data.size));
  const shown = data.image ? rows : rows.slice(0, 3);
  return thumbnails({ data, theme, rows: shown, label: (place) => `draw ${place + 1} of component ${component + 1}` });
}
