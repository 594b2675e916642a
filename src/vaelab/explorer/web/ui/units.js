// The units of a layer as small squares: bits and probabilities in ink, real numbers in two colours around 0.

import { readCells } from "./cells.js";
import { paintChange } from "./difference.js";
import { h } from "./dom.js";

const SPREAD = 3; // the real number that has the full colour

/** Return squares of the units of a layer: `{ element, show(values) }`; `read(text)` is called with the unit at the pointer or the keyboard, `most` is the largest width in pixels. */
export function unitsView({ size, bits, theme, label, read = () => {}, most = 360 }) {
  const columns = size <= 30 ? Math.ceil(size / Math.ceil(size / 10)) : 25;
  const rows = Math.ceil(size / columns);
  const canvas = h("canvas", { width: columns, height: rows, class: "image units", role: "img", "aria-label": label });
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  canvas.style.width = "100%";
  canvas.style.maxWidth = `${columns > 10 ? most : 24 * columns}px`;
  const surface = canvas.getContext("2d");
  let shown = new Float32Array(size);
  readCells(canvas, { columns, rows, count: size, read: (unit) => read(`${label}: unit ${unit} is ${Number(shown[unit].toFixed(3))}`) });
  return {
    element: canvas,
    show(values) {
      shown = values;
      const pixels = surface.createImageData(columns, rows);
      if (bits) paintBits(pixels.data, values, theme);
      else paintChange(pixels.data.subarray(0, 4 * size), values, SPREAD, theme);
      surface.putImageData(pixels, 0, 0);
    },
  };
}

function paintBits(bytes, values, theme) {
  const [paper, ink] = [theme.rgb("image-paper"), theme.rgb("image-ink")];
  values.forEach((value, unit) => {
    for (let channel = 0; channel < 3; channel += 1) bytes[4 * unit + channel] = paper[channel] + value * (ink[channel] - paper[channel]);
    bytes[4 * unit + 3] = 255;
  });
}
