// The rows of the map: which is nearest to the cursor, and what is shown of it beside what is decoded.

import { button } from "../ui/controls.js";
import { h } from "../ui/dom.js";
import { givenRows } from "../ui/given.js";
import { ofRow } from "./draw-input.js";
import { forgottenLayers, layersOfRun } from "./layers-state.js";
import { reconstructed as decodedFor } from "./draw-compute.js";

/** Return the row that is shown and nearest to a place on the screen; null if none is shown. */
export function nearestRow({ plane, shown, stage }, [x, y]) {
  const { sx, sy } = stage.camera ?? { sx: 1, sy: 1 };
  let best = null;
  let least = Infinity;
  for (let row = 0; row < shown.length; row += 1) {
    if (!shown[row]) continue;
    const [dx, dy] = [(plane.places[2 * row] - x) * sx, plane.isStrip ? 0 : (plane.places[2 * row + 1] - y) * sy];
    const distance = dx * dx + dy * dy;
    if (distance < least) [best, least] = [row, distance];
  }
  return best;
}

/** Return what a row is: its number, class, and bound. */
export function rowWords({ data, run }, row) {
  const parts = [`row ${row}`];
  if (data.labels) parts.push(`class ${data.classes[data.labels[row]]}`);
  if (run.bounds) parts.push(`bound ${run.bounds[row].toFixed(1).replace("-", "−")} nats`);
  return parts.join(", ");
}

/** Return the decoded most probable code of a row, given what that row is given. */
export function reconstructed(map, row) {
  const { run, data } = map;
  const { dim, code } = run.model;
  map.reconstructions ??= new Map();
  if (!map.reconstructions.has(row)) {
    const mean = run.codes.slice(row * dim, (row + 1) * dim);
    const best = code === "bits" ? mean.map((p) => (p > 0.5 ? 1 : 0)) : mean;
    map.reconstructions.set(row, decodedFor(run.model, best, data.row(row), data.givenRows(1, row)));
  }
  return map.reconstructions.get(row);
}

/** Return what the model is given at the cursor: what is chosen, or what a row is given; null for a model that is given nothing. */
export function givenAt(map, row, n = 1) {
  return givenRows(map.state, "map.given", map.data, n, row ?? 0);
}

/** Return the three observations beside the map, and the row nearest to the cursor. */
export function observed(map) {
  const { data, plane } = map;
  const nearest = nearestRow(map, map.cursor);
  const code = plane.code(...map.cursor);
  const here = map.decode(code, givenAt(map, map.pin?.row ?? nearest));
  const first = { title: "Decoded here", text: codeWords(map, here.z, nearest), x: here.x };
  const blank = new Float32Array(data.size).fill(NaN);
  if (map.pin?.place) {
    const there = map.decode(plane.code(...map.pin.place), givenAt(map, nearestRow(map, map.pin.place)));
    return { nearest, shown: [first, { title: "Decoded at the pin", text: placeWords(map, map.pin.place), x: there.x }, rowSlot(map, nearest, "Nearest row", blank)] };
  }
  const row = map.pin?.row ?? nearest;
  const title = map.pin ? "Pinned row" : "Nearest row";
  const decoded = row === null ? { title: "Its recon\u00adstruction", text: "", x: blank } : { title: "Its recon\u00adstruction", text: "its code decoded", x: reconstructed(map, row), row };
  return { nearest, shown: [first, rowSlot(map, row, title, blank), decoded] };
}

function rowSlot(map, row, title, blank) {
  return row === null ? { title, text: "no row is shown", x: blank } : { title, text: rowWords(map, row), x: map.data.row(row), row };
}

/** Return a number with two digits after the point, so that a readout keeps its width while the cursor moves. */
function fixed(value) {
  return value.toFixed(2).replace("-", "−");
}

function placeWords({ plane }, [x, y]) {
  return plane.isStrip ? `at ${fixed(x)}` : `at (${fixed(x)}, ${fixed(y)})`;
}

function codeWords(map, z, nearest) {
  const where = placeWords(map, map.cursor);
  if (map.run.model.code === "bits") {
    if (nearest === null) return where;
    const { codes, layer } = map;
    const differing = z.reduce((sum, bit, place) => sum + (bit !== (codes[nearest * layer.size + place] > 0.5 ? 1 : 0)), 0);
    return `${where}; ${differing} of ${layer.size} bits differ from those of row ${nearest}`;
  }
  const density = map.layers.length === 1 ? map.run.model.prior(1).logProb(z)[0] : null;
  return density === null ? where : `${where}; log p(z) = ${fixed(density)} nats`;
}

const OPENERS = [["draw", "Draw", ofRow], ["bits", "Bits", (row) => ({ "bits.part": null, "bits.row": row, "bits.code": null })], ["layers", "Layers", (row, run) => ({ "layers.part": null, "layers.row": row, ...forgottenLayers(layersOfRun(run)) })]];

/** Return buttons that open the row beside the map in other views; `canOpen(name)` says which views apply. */
export function openers(map, canOpen) {
  const found = OPENERS.filter(([name]) => canOpen(name));
  if (!found.length) return null;
  const open = (name, changes) => () => map.nearest !== null && map.state.set({ view: name, ...changes(map.pin?.row ?? map.nearest, map.run) });
  return h("div", { class: "map-open" }, h("span", { class: "small soft", text: "Open this row in" }), found.map(([name, title, changes]) => button(title, open(name, changes))));
}
