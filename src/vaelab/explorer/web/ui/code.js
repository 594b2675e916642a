// A code as a small picture: bits as squares, real numbers as bars above and below a line.

import { h } from "./dom.js";
import { briefNumber, shownNumber } from "./numbers.js";

const LISTED = 6; // codes of so few numbers are written out

/** Return a picture of codes of a model: `{ element, show(z) }`. */
export function codeView({ model, theme, label }) {
  const canvas = h("canvas", { class: "code-picture", role: "img" });
  const text = h("span", { class: "value code-numbers" });
  const element = h("div", { class: "code-view" }, canvas, text);
  canvas.hidden = model.code !== "bits" && model.dim <= LISTED;
  const paint = model.code === "bits" ? paintBits : paintNumbers;
  return {
    element,
    show(z) {
      text.textContent = describe(model, z);
      canvas.setAttribute("aria-label", `${label}: ${text.textContent}`);
      if (!canvas.hidden) paint(canvas, z, theme);
    },
  };
}

function describe(model, z) {
  if (model.code === "bits") return `${model.dim} bits, ${z.reduce((count, bit) => count + (bit > 0.5 ? 1 : 0), 0)} of them 1`;
  if (model.dim <= LISTED) return `z = (${Array.from(z, (value) => briefNumber(Math.round(value * 100) / 100)).join(", ")})`;
  return `${model.dim} numbers from ${shownNumber(Math.min(...z))} to ${shownNumber(Math.max(...z))}`;
}

function paintBits(canvas, z, theme) {
  const side = z.length > 100 ? 8 : 12;
  const columns = Math.min(z.length, z.length > 100 ? 25 : 16);
  const rows = Math.ceil(z.length / columns);
  const surface = prepare(canvas, columns * side, rows * side);
  z.forEach((bit, place) => {
    surface.fillStyle = theme.colour(bit > 0.5 ? "accent" : "line");
    surface.fillRect((place % columns) * side + 1, Math.floor(place / columns) * side + 1, side - 2, side - 2);
  });
}

function paintNumbers(canvas, z, theme) {
  const wide = Math.max(2, Math.min(10, Math.floor(220 / z.length)));
  const surface = prepare(canvas, z.length * wide, 48);
  surface.fillStyle = theme.colour("line");
  surface.fillRect(0, 23.5, z.length * wide, 1);
  surface.fillStyle = theme.colour("accent");
  z.forEach((value, place) => {
    const tall = Math.max(-23, Math.min(23, value * 7.5));
    surface.fillRect(place * wide + 0.5, 24 - Math.max(0, tall), wide - 1, Math.abs(tall));
  });
}

function prepare(canvas, width, height) {
  const scale = Math.max(1, Math.round(devicePixelRatio));
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const surface = canvas.getContext("2d");
  surface.scale(scale, scale);
  return surface;
}
