// Map: the codes of the rows as points of a plane; the code under the cursor is decoded.

import { toggle, choice } from "../ui/controls.js";
import { fill, h, setText } from "../ui/dom.js";
import { givenControl } from "../ui/given.js";
import { colourings, openColouring, openLegend } from "./map-colour.js";
import { openDetails, orderOfVariables } from "./map-details.js";
import { openMixture } from "./map-mixture.js";
import { axesOf, codesOfLayer, decodedWords, decoderOf, firstAxes, layersOf, openPlane } from "./map-plane.js";
import { listen } from "./map-pointer.js";
import { circlesOf, componentsOn, contoursOf, contoursOfFlow, priorOfLayer, startsWithContours, startsWithOutlines } from "./map-prior.js";
import { namedGroups, scene, titlesOf } from "./map-scene.js";
import { areaOf, openSelection, rowsIn } from "./map-selection.js";
import { boxOf, cameraOf, drawAbove, drawBelow, openStage } from "./map-stage.js";
import { hands, toolbar } from "./map-tools.js";
import { mapWords } from "./map-words.js";
import { observed, openers } from "./map-rows.js";

export const mapView = {
  name: "map",
  title: "Map",
  about: "The codes of the rows as points. Move over the map: the code under the cursor is decoded.",
  applies: () => true,
  mount(root, context) {
    const map = openMap(root, context);
    map.update(null);
    const stop = listen(map.stage.above, hands(map));
    return {
      update: (keys) => map.update(keys),
      unmount() {
        stop();
        map.stage.close();
      },
    };
  },
};

// What follows from what: a change of a key makes its step and all later ones new.
const STEPS = ["layer", "plane", "colour", "area", "view", "cursor"];
const STEP_OF = {
  layer: "layer", x: "plane", y: "plane", pin: "plane", colour: "colour", off: "colour", names: "view", prior: "view", contours: "view",
  area: "area", zoom: "view", mid: "view", tool: "cursor", at: "cursor", given: "view", component: "view", seed: "view",
};

function openMap(root, { run, state, theme, say, rng, canOpen = () => false }) {
  const map = { run, state, theme, say, rng, data: run.data, layers: layersOf(run), colourings: colourings(run), draft: null };
  map.get = (key, fallback) => state.get(`map.${key}`, fallback);
  map.set = (changes) => state.set(Object.fromEntries(Object.entries(changes).map(([key, value]) => [`map.${key}`, value])));
  map.stage = openStage(theme, () => map.plane && map.update(["map.zoom"]));
  map.legend = openLegend({ theme, onToggle: (group) => toggleGroup(map, group), onAll: () => showAll(map) });
  map.order = orderOfVariables(run);
  map.details = openDetails({ data: run.data, theme, titles: ["Decoded here", "Nearest row", "Its recon\u00adstruction"], order: map.order });
  map.selection = openSelection({ run, theme, onPin: (row) => map.set({ pin: `row:${row}` }), onClear: () => clearArea(map), hint: "Choose “Select” and draw around some rows, or choose a whole class above the map; the page then compares them with the others." });
  map.mixture = openMixture(map);
  map.update = (keys) => update(map, keys);
  map.parts = { open: openers(map, canOpen), axes: h("div", { class: "controls map-axes" }), tools: h("div", { class: "map-tools" }), decoded: h("p", { class: "small soft map-decoded" }), words: h("div", { class: "map-words" }) };
  layOut(root, map);
  return map;
}

function layOut(root, map) {
  const { parts, stage, legend, details, mixture, selection, layers, state, colourings: found } = map;
  const first = h(
    "div",
    { class: "controls" },
    layers.length > 1 ? choice(state, "map.layer", { label: "Codes of", options: layers.map((layer) => [String(layer.index), layer.name]) }) : null,
    choice(state, "map.colour", { label: "Colour", options: found.map(({ key, title }) => [key, title]) }),
    givenControl(state, "map.given", map.data),
  );
  fill(
    root,
    first,
    h(
      "div",
      { class: "map-layout" },
      h("div", { class: "map-left" }, parts.tools, stage.element, legend.element, parts.axes, parts.words),
      h("div", { class: "map-right" }, h("div", { class: "map-box" }, details.element, parts.open, parts.decoded), mixture?.element, selection.element),
    ),
  );
  stage.above.setAttribute("aria-label", `Map of the codes of ${map.data.count} rows. Arrow keys move the cursor, Enter pins, plus and minus zoom.`);
  stage.fit();
}

function update(map, keys) {
  const steps = keys === null ? [0] : keys.filter((key) => key.startsWith("map.")).map((key) => STEPS.indexOf(STEP_OF[key.slice(4)] ?? "cursor"));
  if (!steps.length) return;
  if (keys !== null && keys.includes("map.colour") && map.get("off")) map.set({ off: null });
  const from = Math.min(...steps);
  if (from <= 0) chooseLayer(map);
  if (from <= 1) choosePlane(map, keys);
  if (from <= 2) chooseColour(map);
  if (from <= 3) chooseArea(map);
  if (from <= 4) drawView(map);
  drawMoving(map);
}

function chooseLayer(map) {
  const { run, layers } = map;
  map.layer = layers[Number(map.get("layer", "0"))] ?? layers[0];
  map.codes = codesOfLayer(run.codes, run.model.dim, map.layer);
  map.decode = decoderOf(run.model, map.layer);
  map.prior = priorOfLayer(run.model, map.layer);
  map.axes = axesOf(map.layer, run.model.code);
}

function choosePlane(map, keys) {
  const { layer, codes, run, data, axes, parts, state } = map;
  const [firstX, firstY] = firstAxes(layer, run.model.code);
  const known = (name, fallback) => (axes.some(([other]) => other === name) || (name === "none" && fallback !== firstX) ? name : fallback);
  const [x, y] = [known(map.get("x", firstX), firstX), known(map.get("y", firstY), firstY)];
  map.pin = pinOf(map.get("pin", ""), data.count);
  const through = map.pin?.row === undefined ? layer.summary.mean : codes.slice(map.pin.row * layer.size, (map.pin.row + 1) * layer.size);
  const lanes = { labels: data.labels, count: data.labels ? data.classes.length : 1 };
  map.plane = openPlane({ layer, codes, x, y, through, lanes });
  const { plane } = map;
  map.circles = map.prior?.kind === "normal" ? circlesOf(plane, layer.size) : [];
  map.components = map.prior?.kind === "mixture" ? componentsOn(plane, map.prior, layer.size) : [];
  const flow = map.prior?.kind === "flow" && layer.size === 2 && !plane.isStrip && x !== y ? contoursOfFlow(plane, run.model) : null;
  map.contours = flow?.contours ?? (map.components.length && !plane.isStrip ? contoursOf(map.components) : []);
  const corners = flow ? [[[flow.box[0], flow.box[2]], [flow.box[1], flow.box[3]]]] : [];
  map.box = boxOf(plane, [...map.circles.slice(0, 2), ...map.components.map(({ outline }) => outline), ...corners]);
  if (keys !== null && !keys.some((key) => ["map.layer", "map.x", "map.y"].includes(key))) return;
  if (keys !== null) map.set({ at: null, zoom: null, mid: null, area: map.get("area", "").startsWith("p:") ? null : map.get("area") });
  fillAxes(map, parts.axes, state, [x, y], [firstX, firstY]);
  fill(parts.words, mapWords({ run, layer, codes, plane }));
}

function fillAxes(map, place, state, [x, y], [firstX, firstY]) {
  const focused = document.activeElement?.dataset?.key;
  const select = (key, label, options, value, fallback) => {
    const control = choice(state, key, { label, options, value: fallback });
    const list = control.querySelector("select");
    list.value = value;
    list.dataset.key = key;
    return control;
  };
  fill(
    place,
    select("map.x", "Across", map.axes, x, firstX),
    select("map.y", "Up", [...map.axes, ["none", "nothing (a histogram)"]], y, firstY),
    map.circles.length || map.components.length ? toggle(state, "map.prior", { label: priorWords(map), value: startsWithOutlines(map) }) : null,
    map.contours.length ? toggle(state, "map.contours", { label: "Contours of the density", value: startsWithContours(map) }) : null,
    namedGroups(map) ? toggle(state, "map.names", { label: "Names of classes", value: true }) : null,
  );
  if (focused) place.querySelector(`[data-key="${focused}"]`)?.focus();
}

function priorWords({ plane, circles }) {
  if (plane.isStrip) return "Density of the prior";
  return circles.length ? "Circles of the prior" : "Ellipses of the components";
}

/** Return what is pinned: `{ row }`, `{ place }`, or null. */
function pinOf(text, count) {
  const [kind, value = ""] = text.split(":");
  const numbers = value.split(",").map(Number);
  if (kind === "row" && Number.isInteger(numbers[0]) && numbers[0] >= 0 && numbers[0] < count) return { row: numbers[0] };
  return kind === "at" && numbers.length === 2 && numbers.every(Number.isFinite) ? { place: numbers } : null;
}

function chooseColour(map) {
  const found = map.colourings.find(({ key }) => key === map.get("colour")) ?? map.colourings[0];
  map.colouring = openColouring(found.open(), map.theme);
  map.colouring.key = found.key;
  map.off = new Set(map.colouring.names ? map.get("off", "").split(".").filter(Boolean).map(Number) : []);
  map.shown = Uint8Array.from({ length: map.data.count }, (_, row) => (map.off.has(map.colouring.look(row).group) ? 0 : 1));
  map.legend.show(map.colouring, map.off);
  fill(map.parts.tools, toolbar(map));
}

function toggleGroup(map, group) {
  const off = new Set(map.off);
  if (!off.delete(group)) off.add(group);
  map.set({ off: off.size ? [...off].sort((a, b) => a - b).join(".") : null });
  map.legend.element.querySelector(`[data-group="${group}"]`)?.focus();
}

function showAll(map) {
  map.set({ off: null });
  map.legend.element.querySelector("button")?.focus();
}

function clearArea(map) {
  map.set({ area: null });
  map.stage.above.focus({ preventScroll: true });
}

function chooseArea(map) {
  map.area = areaOf(map.get("area", ""));
  const groupsOf = (key) => map.colourings.find((other) => other.key === key)?.open().of ?? new Int32Array(map.data.count).fill(-1);
  const key = [map.get("area", ""), map.layer.index, ...map.plane.names, map.colouring.key, ...map.off].join(" ");
  if (key === map.chosenKey) return;
  map.chosenKey = key;
  map.chosen = rowsIn(map.area, { plane: map.plane, shown: map.shown, groupsOf });
  map.selection.show(map.chosen);
}

function drawView(map) {
  const { stage, plane, box } = map;
  map.mixture?.show();
  if (!stage.width) return;
  const middle = map.get("mid", "").split(",").map(Number);
  const isPlace = middle.length === 2 && middle.every(Number.isFinite);
  stage.camera = cameraOf(stage, plane, box, { zoom: map.get("zoom", 1), middle: isPlace ? middle : null });
  drawBelow(stage, { ...scene(map), titles: titlesOf(map) });
}

function drawMoving(map) {
  const { stage, plane, run } = map;
  const tools = [...map.parts.tools.querySelectorAll("[data-tool]")];
  tools.forEach((tool) => tool.setAttribute("aria-pressed", String(tool.dataset.tool === map.get("tool", "look"))));
  map.cursor = cursorOf(map);
  const found = observed(map);
  map.details.show(found.shown);
  map.nearest = found.nearest;
  setText(map.parts.decoded, decodedWords(run, map.layer, plane, map.pin?.row ?? null, givenPart(map)));
  if (!stage.camera) return;
  const place = (row) => [plane.places[2 * row], plane.places[2 * row + 1]];
  const pinned = map.pin === null ? null : map.pin.row === undefined ? map.pin.place : place(map.pin.row);
  const outline = map.draft ?? map.area?.polygon ?? null;
  drawAbove(stage, { cursor: map.cursor, nearest: found.nearest === null ? null : place(found.nearest), pinned, outline, plane });
}

function givenPart(map) {
  if (map.data.given === null) return "";
  return map.get("given", "rows") === "rows" ? `, given what the ${map.pin?.row === undefined ? "nearest" : "pinned"} row is given` : ", given what is chosen";
}

/** Return the place of the cursor: that of the address, else that of the pin, else the middle of the rows. */
function cursorOf(map) {
  const numbers = map.get("at", "").split(",").map(Number);
  if (numbers.length === 2 && numbers.every(Number.isFinite)) return numbers;
  if (map.pin?.place) return map.pin.place;
  if (map.pin) return [map.plane.places[2 * map.pin.row], map.plane.places[2 * map.pin.row + 1]];
  return map.plane.place(map.layer.summary.mean);
}
