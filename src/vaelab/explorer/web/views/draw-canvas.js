// A canvas to paint an observation on, pixel by pixel: with mouse, pen and fingers, or with the keys.

import { h } from "../ui/dom.js";
import { inLevels, paint } from "../ui/observation.js";

const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/** Return a canvas of H x W pixels: `{ element, show(x) }`. `brush()` gives `{ size, value }` of the tool, `changed(x)` gets the
 * painted observation, `levels` are the values of paper and ink, `describe(value)` words for a value, `say(text)` speaks. */
export function paintingCanvas({ image, theme, levels, brush, changed, describe, say }) {
  const [height, width] = image;
  const canvas = h("canvas", { width, height, class: "draw-canvas", tabindex: 0, role: "application", "aria-roledescription": "drawing", "aria-label": labelOf(width, height) });
  const cursor = h("div", { class: "draw-cursor", "aria-hidden": "true" });
  const element = h("div", { class: "draw-surface" }, canvas, cursor);
  element.style.aspectRatio = `${width} / ${height}`;
  element.style.maxWidth = `${Math.round(Math.min(1, width / height) * 336)}px`;
  const surface = canvas.getContext("2d");
  const pixels = surface.createImageData(width, height);
  const sheet = { width, height, x: new Float32Array(width * height), column: width >> 1, row: height >> 1 };
  const repaint = () => {
    paint(pixels.data, inLevels(sheet.x, levels), theme);
    surface.putImageData(pixels, 0, 0);
    cursor.style.left = `${(100 * sheet.column) / width}%`;
    cursor.style.top = `${(100 * sheet.row) / height}%`;
    cursor.style.width = `${100 / width}%`;
    cursor.style.height = `${100 / height}%`;
  };
  let waiting = 0;
  const edited = () => {
    repaint();
    if (!waiting) {
      waiting = requestAnimationFrame(() => {
        waiting = 0;
        changed(sheet.x);
      });
    }
  };
  withPointer(canvas, sheet, brush, edited);
  withKeys(canvas, sheet, { brush, edited, repaint, levels, speak: () => say(`row ${sheet.row + 1}, column ${sheet.column + 1}: ${describe(sheet.x[sheet.row * width + sheet.column])}`) });
  return {
    element,
    show(x) {
      if (waiting) return; // what is painted now is newer
      sheet.x = Float32Array.from(x);
      repaint();
    },
  };
}

function labelOf(width, height) {
  return `Drawing of ${width} by ${height} pixels. Arrow keys move the cursor, space switches a pixel, shift and an arrow key paint.`;
}

/** Paint along the path of a mouse, a pen or a finger. */
function withPointer(canvas, sheet, brush, edited) {
  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * sheet.width, ((event.clientY - box.top) / box.height) * sheet.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    [sheet.column, sheet.row] = [clamp(last[0], sheet.width), clamp(last[1], sheet.height)];
    line(sheet, last, last, brush());
    edited();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last === null) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      const next = place(each);
      line(sheet, last, next, brush());
      last = next;
    }
    [sheet.column, sheet.row] = [clamp(last[0], sheet.width), clamp(last[1], sheet.height)];
    edited();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, () => {
      last = null;
    });
  }
}

/** Move the cursor with the arrow keys, switch a pixel with space, and paint with shift. */
function withKeys(canvas, sheet, { brush, edited, repaint, levels, speak }) {
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const middle = () => [sheet.column + 0.5, sheet.row + 0.5];
    const before = middle();
    if (event.key in ARROWS) {
      const [right, down] = ARROWS[event.key];
      sheet.column = clamp(sheet.column + right, sheet.width);
      sheet.row = clamp(sheet.row + down, sheet.height);
      if (event.shiftKey) {
        line(sheet, before, middle(), brush());
        edited();
      } else {
        repaint();
      }
    } else if (event.key === " ") {
      line(sheet, before, before, switched(brush(), sheet.x[sheet.row * sheet.width + sheet.column], levels));
      edited();
    } else {
      return;
    }
    event.preventDefault();
    speak();
  });
}

/** A brush that undoes what stands there already: ink becomes paper, and what is hidden the value of paper. */
function switched(brush, value, levels) {
  const same = Number.isNaN(brush.value) ? Number.isNaN(value) : Math.abs(value - brush.value) < 1e-6;
  return same ? { ...brush, value: levels[0] } : brush;
}

function clamp(place, size) {
  return Math.min(size - 1, Math.max(0, Math.floor(place)));
}

/** Paint from one place to another, in units of pixels. */
export function line(sheet, [x0, y0], [x1, y1], brush) {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(x1 - x0, y1 - y0)));
  for (let step = 0; step <= steps; step += 1) {
    stamp(sheet, x0 + ((x1 - x0) * step) / steps, y0 + ((y1 - y0) * step) / steps, brush);
  }
}

/** Paint the pixel at a place, and those whose centres are nearer to it than half the size of the brush. */
function stamp(sheet, x, y, { size, value }) {
  const { width, height } = sheet;
  const reach = size / 2;
  for (let row = clamp(y - reach, height); row <= clamp(y + reach, height); row += 1) {
    for (let column = clamp(x - reach, width); column <= clamp(x + reach, width); column += 1) {
      const inside = Math.hypot(column + 0.5 - x, row + 0.5 - y) < reach - 1e-9;
      const here = column === Math.floor(x) && row === Math.floor(y);
      if (inside || here) sheet.x[row * width + column] = value;
    }
  }
}
