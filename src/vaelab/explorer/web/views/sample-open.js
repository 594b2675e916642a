// A sample in other views: its code in the map, the bits or the layers, and the sample itself in the Draw view.

import { numbersToText } from "../ui/numbers.js";
import { ofRow, writeCells, written } from "./draw-input.js";
import { keptLayers, layersOfRun } from "./layers-state.js";

/** Return what a sample can be opened in, `[[text, changes(shown)], ...]`: `changes` are those of the address. */
export function openers(run, canOpen) {
  const { model } = run;
  const isPlane = model.dim === 2 && model.code !== "bits" && !model.layers.length;
  const views = [
    ["map", isPlane ? "Code in Map" : "Nearest row in Map", isPlane ? placeOnMap : rowOnMap],
    ["bits", "Code in Bits", ({ z, row }) => ({ "bits.part": null, "bits.row": row, "bits.code": numbersToText(z) })],
    ["layers", "Code in Layers", (shown) => layersOfCode(run, shown)],
    ["draw", "Open in Draw", (shown) => inDraw(run.data, shown)],
  ];
  return views.filter(([name]) => canOpen(name)).map(([name, text, changes]) => [text, (shown) => ({ view: name, ...changes(shown) })]);
}

function placeOnMap({ z, given }) {
  const place = Array.from(z, (value) => Number(value.toPrecision(6))).join(",");
  return { "map.x": "u0", "map.y": "u1", "map.at": place, "map.pin": `at:${place}`, ...(given ? { "map.given": numbersToText(given) } : {}) };
}

function rowOnMap({ row }) {
  return { "map.pin": `row:${row}` };
}

function layersOfCode(run, { z, row }) {
  const subject = layersOfRun(run);
  let start = 0;
  const layers = subject.sizes.map((size) => z.subarray(start, (start += size)));
  return { "layers.part": null, "layers.row": row, "layers.free": true, ...keptLayers(subject, layers) };
}

/** What is entered in the Draw view: the sample, written as a change of the nearest row. A mean of a table is no row, so its mode is. */
function inDraw(data, { kind, x, mode, row, given }) {
  const base = data.row(row);
  const own = given && writeCells(given, data.given_variables, data.givenRows(1, row));
  return { ...ofRow(row), ...written(data, data.image || kind !== "mean" ? x : mode, base), ...(own ? { "draw.given": own } : {}) };
}
