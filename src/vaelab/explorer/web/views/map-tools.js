// The tools of the map: buttons above it, and what mouse, fingers and keys do.

import { button } from "../ui/controls.js";
import { h, unique } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { shortNumber, thinnedPath } from "../ui/geometry.js";
import { startsWithOutlines } from "./map-prior.js";
import { areaText } from "./map-selection.js";
import { nearestRow, rowWords } from "./map-rows.js";
import { zoomWithin } from "./map-stage.js";

const NEAR = 14; // pixels: a click so near to a row pins the row
const STEP = 12; // pixels that an arrow key moves the cursor
const ZOOM = 1.5;
const CORNERS = 100; // of an outline, at most: it stands in the address

/** Return the buttons above the map. */
export function toolbar(map) {
  const tool = (name, text) => button(text, () => map.set({ tool: name === "look" ? null : name }), { "data-tool": name, "aria-pressed": "false" });
  return [
    h("div", { class: "map-group", role: "group", "aria-label": "What a drag does" }, tool("look", "Look"), tool("select", "Select")),
    h("div", { class: "map-group", role: "group", "aria-label": "Zoom" }, button("−", () => zoomMiddle(map, 1 / ZOOM), { "aria-label": "Zoom out" }), button("+", () => zoomMiddle(map, ZOOM), { "aria-label": "Zoom in" }), button("Whole map", () => map.set({ zoom: null, mid: null }))),
    classList(map),
    explain(
      "mouse, fingers and keys",
      "Mouse: move to decode, click to pin (a row, if one is near), drag to move the map, wheel to zoom, Shift and drag to select rows.",
      "Fingers: drag to decode, tap to pin, two fingers to zoom and move the map. With “Select”, a drag draws around rows.",
      "Keys on the map: arrows move the cursor (with Shift faster), Enter pins, + and − zoom, 0 shows the whole map, Escape lets go. With “Select”, Enter marks one corner of a rectangle, and then the other.",
    ),
  ];
}

function classList(map) {
  const { names, key } = map.colouring;
  if (!names || names.length < 2) return null;
  const id = unique("class");
  const list = h("select", { id }, h("option", { value: "", text: "choose" }), names.map((name, group) => h("option", { value: group, text: name })));
  list.addEventListener("change", () => map.set({ area: list.value === "" ? null : areaText({ key, group: Number(list.value) }) }));
  return h("div", { class: "control" }, h("label", { for: id, text: "Select all of" }), list);
}

/** Return what hands do on the map: see `listen` of map-pointer.js. */
export function hands(map) {
  const at = (x, y) => map.stage.camera.toPlane(x, y);
  return {
    cursor: (x, y) => map.stage.camera && map.set({ at: placeText(at(x, y)) }),
    pin: (x, y) => map.stage.camera && pinAt(map, x, y),
    pan: (dx, dy) => pan(map, dx, dy),
    zoom: (factor, x, y) => zoom(map, factor, x, y),
    lasso: (path, done) => lasso(map, path, done),
    key: (event) => key(map, event),
    selects: () => map.get("tool", "look") === "select",
  };
}

function placeText(place) {
  return place.map((value) => Number(value.toPrecision(6))).join(",");
}

function pinAt(map, x, y) {
  const { toPlane, toScreen } = map.stage.camera;
  const place = toPlane(x, y);
  const away = (spot) => {
    const [left, top] = toScreen(...spot);
    return Math.hypot(left - x, top - y);
  };
  const distances = map.components.map(({ mean }) => away(mean));
  const component = distances.indexOf(Math.min(...distances));
  if (distances[component] < NEAR && map.get("prior", startsWithOutlines(map)) && !map.plane.isStrip) {
    map.set({ component: component + 1, at: placeText(place) });
    return;
  }
  const row = nearestRow(map, place);
  const spot = row === null ? null : [map.plane.places[2 * row], map.plane.isStrip ? place[1] : map.plane.places[2 * row + 1]];
  const pin = spot && away(spot) < NEAR ? `row:${row}` : `at:${placeText(place)}`;
  map.set({ at: placeText(place), pin: map.get("pin") === pin ? null : pin });
}

function pan(map, dx, dy) {
  if (!map.stage.camera) return;
  const { middle, sx, sy } = map.stage.camera;
  map.set({ mid: placeText([middle[0] - dx / sx, middle[1] + dy / sy]) });
}

/** Change the zoom so that the place under the pointer stays where it is. */
function zoom(map, factor, x, y) {
  const { camera } = map.stage;
  if (!camera) return;
  const before = zoomWithin(map.get("zoom", 1));
  const after = zoomWithin(before * factor);
  const [px, py] = camera.toPlane(x, y);
  const keep = before / after;
  map.set({ zoom: after, mid: placeText([px + (camera.middle[0] - px) * keep, py + (camera.middle[1] - py) * keep]) });
}

function zoomMiddle(map, factor) {
  if (!map.stage.camera) return;
  zoom(map, factor, ...map.stage.camera.toScreen(...map.stage.camera.middle));
}

function lasso(map, path, done) {
  if (!map.stage.camera) return;
  const length = path.reduce((sum, [x, y], place) => sum + (place ? Math.hypot(x - path[place - 1][0], y - path[place - 1][1]) : 0), 0);
  const polygon = thinnedPath(path, Math.max(4, length / CORNERS)).map(([x, y]) => map.stage.camera.toPlane(x, y));
  map.draft = done ? null : polygon;
  if (done && polygon.length > 2) map.set({ area: areaText({ polygon }) });
  else map.update(["map.at"]);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(map, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !map.stage.camera) return;
  const actions = {
    Enter: () => enter(map),
    "+": () => zoomMiddle(map, ZOOM),
    "=": () => zoomMiddle(map, ZOOM),
    "-": () => zoomMiddle(map, 1 / ZOOM),
    0: () => map.set({ zoom: null, mid: null }),
    Escape: () => letGo(map),
  };
  if (ARROWS[event.key]) moveCursor(map, ARROWS[event.key], event.shiftKey ? 4 * STEP : STEP);
  else if (actions[event.key]) actions[event.key]();
  else return;
  event.preventDefault();
}

function moveCursor(map, [right, down], step) {
  const { stage } = map;
  const [x, y] = stage.camera.toScreen(...map.cursor);
  const [left, top] = [x + right * step, y + down * step];
  const outside = left < 50 || top < 10 || left > stage.width - 10 || top > stage.height - 40;
  const place = stage.camera.toPlane(left, top);
  if (outside) pan(map, -right * step, -down * step);
  if (map.corner) map.draft = rectangle(map.corner, place);
  map.set({ at: placeText(place) });
  clearTimeout(map.speaking);
  map.speaking = setTimeout(() => map.say(spoken(map)), 350);
}

function spoken(map) {
  const where = map.cursor.map(shortNumber).join(", ");
  return map.nearest === null ? where : `${where}; nearest ${rowWords(map, map.nearest)}`;
}

function rectangle([x0, y0], [x1, y1]) {
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

function enter(map) {
  if (map.get("tool", "look") !== "select") {
    pinAt(map, ...map.stage.camera.toScreen(...map.cursor));
    map.say(map.pin ? `pinned ${map.pin.row === undefined ? "place" : rowWords(map, map.pin.row)}` : "let go");
    return;
  }
  if (!map.corner) {
    map.corner = map.cursor;
    map.say("first corner; move, and press Enter at the opposite corner");
    return;
  }
  const polygon = rectangle(map.corner, map.cursor);
  [map.corner, map.draft] = [null, null];
  map.set({ area: areaText({ polygon }) });
  map.say(`${map.chosen.reduce((sum, one) => sum + one, 0)} rows selected`);
}

/** Let go of the last thing: a corner, then a selection, then a pin. */
function letGo(map) {
  if (map.corner || map.draft) {
    [map.corner, map.draft] = [null, null];
    map.update(["map.at"]);
  } else if (map.get("area")) map.set({ area: null });
  else map.set({ pin: null });
}
