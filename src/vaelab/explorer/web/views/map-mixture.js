// The components of a mixture of Gaussians as prior: choose one, and see what codes drawn from it decode to.

import { button, choice, numberField } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { percent } from "../ui/geometry.js";
import { shortName, thumbnails, valueText } from "./map-details.js";
import { SHARES } from "./map-prior.js";
import { givenAt } from "./map-rows.js";
import { componentOf } from "./map-scene.js";

const DRAWS = 12;
const COLUMNS = 4; // draws of a table

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
    h("p", { class: "small soft", text: `An ellipse lies 2 standard deviations from the mean of its component; the contours hold ${SHARES.map(percent).join(", ")} of the density on this plane. Click the number of a component to draw codes from it.` }),
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
  const rows = Array.from({ length: DRAWS }, (_, draw) => x.subarray(draw * data.size, (draw + 1) * data.size));
  if (!data.image) return drawsTable(map, rows.slice(0, COLUMNS));
  return thumbnails({ data, theme, rows, label: (place) => `draw ${place + 1} of component ${component + 1}` });
}

function drawsTable({ data, order }, draws) {
  const heads = ["column", ...draws.map((_, draw) => `draw ${draw + 1}`)];
  const lines = order.map((place) => data.variables[place]).map((variable) => h("tr", {}, h("th", { scope: "row", title: variable.name, text: shortName(variable.name, 40) }), draws.map((x) => h("td", { text: valueText(variable, x) }))));
  const table = h("table", { class: "map-table" }, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col", text })))), h("tbody", {}, lines));
  return h("div", { class: "scroll map-draws", tabindex: "0", role: "region", "aria-label": "Means of p(x|z) of the draws" }, table);
}
