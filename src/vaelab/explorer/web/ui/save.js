// Pictures and tables of the page as files, or on the clipboard.

import { button } from "./controls.js";

/** Return one canvas with pictures of the same size in rows, each pixel as a square of `scale` pixels. */
export function sheet(canvases, { columns, scale = 4, gap = 4, ground = "#ffffff" }) {
  const [width, height] = [canvases[0].width * scale, canvases[0].height * scale];
  const rows = Math.ceil(canvases.length / columns);
  const whole = document.createElement("canvas");
  whole.width = columns * (width + gap) + gap;
  whole.height = rows * (height + gap) + gap;
  const surface = whole.getContext("2d");
  surface.fillStyle = ground;
  surface.fillRect(0, 0, whole.width, whole.height);
  surface.imageSmoothingEnabled = false;
  canvases.forEach((canvas, place) => {
    surface.drawImage(canvas, gap + (place % columns) * (width + gap), gap + Math.floor(place / columns) * (height + gap), width, height);
  });
  return whole;
}

/** Return the bytes of a canvas as PNG. */
export function pngOf(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture is too large"))), "image/png");
  });
}

/** Put a canvas on the clipboard as PNG, and say whether that worked. */
export async function copyPicture(canvas, say) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": pngOf(canvas) })]);
    say("The picture is on the clipboard.");
  } catch {
    say("This browser does not let the page copy pictures. Save the picture instead.");
  }
}

/** Put a text on the clipboard, and say whether that worked. */
export async function copyText(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say("The text is on the clipboard.");
  } catch {
    say("This browser does not let the page copy. Select the text and copy it.");
  }
}

/** Save a canvas as a PNG file. */
export async function savePicture(canvas, name) {
  save(await pngOf(canvas), `${fileName(name)}.png`);
}

/** Save a table, rows of cells, as a CSV file. */
export function saveTable(rows, name) {
  save(new Blob([rows.map((row) => row.map(cell).join(",")).join("\r\n"), "\r\n"], { type: "text/csv" }), `${fileName(name)}.csv`);
}

/** Return buttons that copy and save the picture that `make()` returns; `say(text)` tells what happened. */
export function pictureButtons(make, name, say) {
  return [button("Copy picture", () => copyPicture(make(), say)), button("Save PNG", () => savePicture(make(), name()))];
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function fileName(text) {
  return text.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "vaelab";
}

/** A value as text; a name that a spreadsheet would compute as a formula has an apostrophe before it. */
function cell(value) {
  const isFormula = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && !Number.isFinite(Number(value));
  const text = Number.isNaN(value) ? "" : `${isFormula ? "'" : ""}${value}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
