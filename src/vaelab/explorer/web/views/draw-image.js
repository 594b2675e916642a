// The entry of an image: a canvas with its tools.

import { button, slider } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { paintingCanvas } from "./draw-canvas.js";
import { centred, inkOf, inkOfRows, inkWords } from "./draw-ink.js";
import { isBits, ofRow, written } from "./draw-input.js";

const TOOLS = [["draw", "Draw"], ["erase", "Erase"], ["hide", "Hide"]];

/** Return the entry of an image: `{ element, show(input) }`; `why` says why pixels cannot be hidden, or is null. */
export function imageEntry({ run, state, theme, say }, why) {
  const { data } = run;
  const { levels } = data;
  const rows = inkOfRows(data, levels);
  const hint = h("p", { class: "soft small draw-hint" });
  const note = h("p", { class: "small", role: "status" });
  let input = null;
  const tool = () => (state.get("draw.tool", "draw") === "hide" && why !== null ? "draw" : state.get("draw.tool", "draw"));
  const brush = () => ({ size: state.get("draw.brush", usualBrush(data)), value: valueOf(tool(), state, levels) });
  const changed = (x) => {
    fill(note);
    state.set(written(data, x, input.base));
  };
  const canvas = paintingCanvas({ image: data.image, theme, levels, brush, changed, describe: (value) => wordsOf(value, levels), say });
  const centre = () => {
    const { x, lost } = centred(input.x, data.image, levels);
    changed(x);
    fill(note, lost ? `Moved to the middle; ${lost} inked pixels fell outside the image.` : "Moved so that its centre of mass is in the middle.");
  };
  const tools = toolButtons(state, why);
  const reveal = button("Unhide", () => changed(shown(input)));
  const back = backButton(state);
  const element = h(
    "div",
    { class: "draw-entry" },
    tools.element,
    canvas.element,
    h("div", { class: "controls" }, brushSlider(state, data), isBits(data) ? null : inkSlider(state, data)),
    h("div", { class: "controls draw-buttons" }, button("Clear", () => state.set(ofRow(-1))), button("Centre it", centre), reveal, back.element),
    note,
    hint,
  );
  return {
    element,
    show(next) {
      input = next;
      canvas.show(next.x);
      back.show(next);
      reveal.disabled = !next.hidden;
      tools.update(tool());
      fill(hint, inkWords(inkOf(next.x, data.image, levels), rows));
    },
  };
}

/** What is hidden gets the values of the row again. */
function shown({ x, base }) {
  return x.map((value, place) => (Number.isNaN(value) ? base[place] : value));
}

/** Return a button that goes back to the row as it is: `{ element, show(input) }`. */
export function backButton(state) {
  const element = button("Reset", () => state.set(ofRow(state.get("draw.row", 0))));
  return {
    element,
    show({ row, x, base }) {
      element.title = row < 0 ? "Back to an empty input" : `Back to row ${row} as it is`;
      element.disabled = x.every((value, place) => Object.is(value, base[place]));
    },
  };
}

function toolButtons(state, why) {
  const buttons = TOOLS.map(([name, text]) => {
    const each = button(text, () => state.set({ "draw.tool": name }), { "aria-pressed": "false", "data-tool": name });
    if (name === "hide" && why !== null) {
      each.disabled = true;
      each.title = why;
    }
    return each;
  });
  return {
    element: h("div", { class: "draw-tools", role: "group", "aria-label": "Tool" }, buttons),
    update: (tool) => buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.tool === tool))),
  };
}

function brushSlider(state, data) {
  const most = Math.max(4, Math.round(Math.min(...data.image) / 4));
  return slider(state, "draw.brush", { label: "Brush", min: 1, max: most, step: 0.5, value: usualBrush(data), format: (size) => `${size} ${size === 1 ? "pixel" : "pixels"}` });
}

function inkSlider(state, { levels: [low, high], kind }) {
  const whole = kind === "count";
  return slider(state, "draw.ink", { label: "Ink", min: low, max: high, step: whole ? 1 : (high - low) / 100, value: high, format: (number) => (whole ? String(number) : number.toFixed(2)) });
}

function usualBrush({ image }) {
  return Math.max(1, Math.round(Math.min(...image) / 11));
}

function valueOf(tool, state, [low, high]) {
  if (tool === "hide") return NaN;
  return tool === "erase" ? low : Math.min(high, Math.max(low, state.get("draw.ink", high)));
}

function wordsOf(value, [low, high]) {
  if (Number.isNaN(value)) return "hidden";
  if (value === low) return "paper";
  return value === high ? "ink" : `ink ${Math.round((100 * (value - low)) / (high - low))} per cent`;
}
