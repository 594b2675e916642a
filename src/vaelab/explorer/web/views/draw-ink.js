// Where the ink of an image lies: its centre of mass and its height; and images moved to the middle.

/** Return `{ height, right, down }` of an image: rows with ink, and how far its centre of mass is from the middle; null without ink. */
export function inkOf(x, [height, width], [low, high]) {
  let [mass, across, down] = [0, 0, 0];
  let [top, bottom] = [height, -1];
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const value = x[row * width + column];
      const ink = Number.isNaN(value) ? 0 : (value - low) / (high - low);
      mass += ink;
      across += ink * column;
      down += ink * row;
      if (ink > 0.5) [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    }
  }
  if (!(mass > 0) || bottom < 0) return null;
  return { height: bottom - top + 1, right: across / mass - (width - 1) / 2, down: down / mass - (height - 1) / 2 };
}

/** Return an image moved by whole pixels so that its centre of mass is in the middle; `lost` counts inked pixels that fell outside. */
export function centred(x, [height, width], [low, high]) {
  const ink = inkOf(x, [height, width], [low, high]);
  if (ink === null) return { x, lost: 0 };
  const [right, down] = [-Math.round(ink.right), -Math.round(ink.down)];
  const moved = new Float32Array(x.length).fill(low);
  let lost = 0;
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const value = x[row * width + column];
      const [toRow, toColumn] = [row + down, column + right];
      if (toRow >= 0 && toRow < height && toColumn >= 0 && toColumn < width) moved[toRow * width + toColumn] = value;
      else if (value > (low + high) / 2) lost += 1;
    }
  }
  return { x: moved, lost };
}

/** Return how the images of the data stand: the median height of their ink, and its median distance from the middle. */
export function inkOfRows(data, levels) {
  const found = [];
  for (let row = 0; row < Math.min(300, data.count); row += 1) found.push(inkOf(data.row(row), data.image, levels));
  const inked = found.filter((ink) => ink !== null);
  if (!inked.length) return null;
  return { height: median(inked.map((ink) => ink.height)), off: median(inked.map((ink) => Math.hypot(ink.right, ink.down))) };
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Return words on how a drawing stands beside the images of the data, if those are centred; else nothing. */
export function inkWords(ink, rows) {
  if (rows === null || rows.off > 1.5) return "";
  const of = `In the rows, the ink is about ${rows.height} pixels high and its centre of mass is in the middle of the image.`;
  if (ink === null) return `${of} Nothing is drawn yet.`;
  const sides = [side(ink.right, "right", "left"), side(ink.down, "down", "up")].filter(Boolean);
  const place = sides.length ? `its centre is ${sides.join(" and ")} from there` : "its centre is there too";
  return `${of} Yours is ${ink.height} pixels high, and ${place}.`;
}

function side(distance, more, less) {
  const pixels = Math.round(Math.abs(distance));
  return pixels < 1 ? "" : `${pixels} ${pixels === 1 ? "pixel" : "pixels"} ${distance > 0 ? more : less}`;
}
