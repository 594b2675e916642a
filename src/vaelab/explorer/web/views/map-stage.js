// The canvas of the map: a camera over the plane, points, lines and axes below, the cursor and the lasso above.

import { h } from "../ui/dom.js";
import { shortNumber } from "../ui/geometry.js";
import { roundNumbers } from "../ui/numbers.js";
import { drawMark, openMarks } from "../ui/markers.js";

const MARGIN = { left: 46, right: 10, top: 10, bottom: 40 };
const [RADIUS, SMALL] = [3.6, 2.8]; // of a mark, in pixels of the style sheet; SMALL on a phone
const NARROW = 420;
const FONT = "12px system-ui, sans-serif";

/** Return the two canvases, one over the other, and what draws on them; `onSize` is called when the size changes. */
export function openStage(theme, onSize) {
  const below = h("canvas", { class: "map-canvas", "aria-hidden": "true" });
  const above = h("canvas", { class: "map-canvas map-over", tabindex: "0", role: "application" });
  const element = h("div", { class: "map-stage" }, below, above);
  const stage = { element, below, above, theme, width: 0, height: 0, ratio: 1, camera: null, marks: null };
  const fit = () => {
    const ratio = Math.max(1, devicePixelRatio || 1);
    const [width, height] = [element.clientWidth, element.clientHeight];
    if (!width || !height || (width === stage.width && height === stage.height && ratio === stage.ratio)) return;
    Object.assign(stage, { width, height, ratio });
    for (const canvas of [below, above]) Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    stage.marks = openMarks((width > NARROW ? RADIUS : SMALL) * ratio, theme.colour("panel"));
    onSize();
  };
  const observer = new ResizeObserver(fit);
  observer.observe(element);
  stage.fit = fit;
  stage.close = () => observer.disconnect();
  return stage;
}

/** Return the box of what is shown at first: all rows, and outlines of the prior; never empty. */
export function boxOf(plane, outlines) {
  const box = [Infinity, -Infinity, Infinity, -Infinity];
  const take = (x, y) => {
    box[0] = Math.min(box[0], x);
    box[1] = Math.max(box[1], x);
    box[2] = Math.min(box[2], y);
    box[3] = Math.max(box[3], y);
  };
  for (let place = 0; place < plane.places.length; place += 2) take(plane.places[place], plane.places[place + 1]);
  for (const outline of outlines) outline.forEach(([x, y]) => take(x, plane.isStrip ? 0.5 : y));
  if (plane.isStrip) box[0] -= 0.17 * (box[1] - box[0]); // room for the names of the classes
  const least = 1e-3;
  const pad = (low, high) => (high - low < least ? [low - 0.5, high + 0.5] : [low - 0.04 * (high - low), high + 0.04 * (high - low)]);
  return [...pad(box[0], box[1]), ...(plane.isStrip ? [0, 1.4] : pad(box[2], box[3]))];
}

/** Return a zoom that the map has: at least 0.2, at most 200. */
export function zoomWithin(zoom) {
  return Math.min(200, Math.max(0.2, zoom));
}

/** Return the camera of a box: `zoom` 1 shows it whole, around a middle, which is that of the box if it is null. */
export function cameraOf(stage, plane, box, { zoom: wanted, middle }) {
  const zoom = zoomWithin(wanted);
  const [wide, high] = [stage.width - MARGIN.left - MARGIN.right, stage.height - MARGIN.top - MARGIN.bottom];
  const fitting = [wide / (box[1] - box[0]), high / (box[3] - box[2])];
  const scale = Math.min(...fitting) * zoom;
  const differ = !plane.isStrip && plane.names[0][0] !== plane.names[1][0]; // a unit and a principal axis: each has its own scale
  const [sx, sy] = plane.isStrip ? [fitting[0] * zoom, fitting[1]] : differ ? [fitting[0] * zoom, fitting[1] * zoom] : [scale, scale];
  const [x, y] = middle ?? [(box[0] + box[1]) / 2, (box[2] + box[3]) / 2];
  const centre = [MARGIN.left + wide / 2, MARGIN.top + high / 2];
  const cy = plane.isStrip ? (box[2] + box[3]) / 2 : y;
  return {
    sx, sy, middle: [x, cy],
    toScreen: (px, py) => [centre[0] + (px - x) * sx, centre[1] - (py - cy) * sy],
    toPlane: (left, top) => [x + (left - centre[0]) / sx, cy - (top - centre[1]) / sy],
  };
}

/** Draw points, lines and axes: what changes when the view changes, but not when the cursor moves. */
export function drawBelow(stage, scene) {
  const surface = stage.below.getContext("2d");
  const { ratio, width, height } = stage;
  surface.setTransform(1, 0, 0, 1, 0, 0);
  surface.clearRect(0, 0, stage.below.width, stage.below.height);
  surface.setTransform(ratio, 0, 0, ratio, 0, 0);
  surface.font = FONT;
  drawAxes(surface, stage, scene);
  surface.save();
  surface.beginPath();
  surface.rect(MARGIN.left, MARGIN.top, width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom);
  surface.clip();
  if (scene.bars.length) drawBars(surface, stage, scene.bars);
  for (const line of scene.lines) drawLine(surface, stage, line);
  drawPoints(surface, stage, scene);
  const taken = [];
  for (const label of scene.labels) drawLabel(surface, stage, label, taken);
  surface.restore();
}

function drawAxes(surface, stage, { plane, titles }) {
  const { theme, width, height, camera } = stage;
  const [left, top] = camera.toPlane(MARGIN.left, MARGIN.top);
  const [right, bottom] = camera.toPlane(width - MARGIN.right, height - MARGIN.bottom);
  const floor = height - MARGIN.bottom;
  surface.lineWidth = 1;
  surface.fillStyle = theme.colour("soft");
  surface.strokeStyle = theme.colour("line");
  surface.textAlign = "center";
  surface.textBaseline = "top";
  const straight = (x0, y0, x1, y1) => {
    surface.beginPath();
    surface.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
    surface.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
    surface.stroke();
  };
  for (const value of roundNumbers(left, right, Math.max(3, width / 60))) {
    const [x] = camera.toScreen(value, 0);
    straight(x, MARGIN.top, x, floor);
    surface.fillText(shortNumber(value), x, floor + 5);
  }
  surface.fillText(titles[0], MARGIN.left + (width - MARGIN.left - MARGIN.right) / 2, floor + 21, width - MARGIN.left);
  if (plane.isStrip) return;
  surface.textAlign = "right";
  surface.textBaseline = "middle";
  for (const value of roundNumbers(bottom, top, Math.max(3, height / 60))) {
    const [, y] = camera.toScreen(0, value);
    straight(MARGIN.left, y, width - MARGIN.right, y);
    surface.fillText(shortNumber(value), MARGIN.left - 6, y);
  }
  surface.save();
  surface.translate(9, MARGIN.top + (height - MARGIN.top - MARGIN.bottom) / 2);
  surface.rotate(-Math.PI / 2);
  surface.textAlign = "center";
  surface.fillText(titles[1], 0, 0, height - MARGIN.top - MARGIN.bottom);
  surface.restore();
}

/** Return the height in a strip at which a bar of a part of the highest ends: the rows are from 0 to 1, the bars above. */
export function onBars(part) {
  return 1.03 + 0.35 * part;
}

/** Draw the histogram of a strip: bars [[left, right, part of the highest], ...] above the rows. */
function drawBars(surface, stage, bars) {
  surface.fillStyle = stage.theme.colour("edge");
  for (const [from, to, part] of bars) {
    const [left, floor] = stage.camera.toScreen(from, onBars(0));
    const [right, top] = stage.camera.toScreen(to, onBars(part));
    surface.fillRect(left, top, Math.max(1, right - left - 1), floor - top);
  }
}

function drawLine(surface, stage, { points, path, segments, width = 1.5, dash = [], colour = "soft", strength = 1 }) {
  surface.beginPath();
  const to = (x, y) => stage.camera.toScreen(x, y);
  if (points) {
    points.forEach(([x, y]) => surface.lineTo(...to(x, y)));
    surface.closePath();
  }
  path?.forEach(([x, y]) => surface.lineTo(...to(x, y)));
  for (const [x0, y0, x1, y1] of segments ?? []) {
    surface.moveTo(...to(x0, y0));
    surface.lineTo(...to(x1, y1));
  }
  surface.globalAlpha = strength;
  surface.strokeStyle = stage.theme.colour(colour);
  surface.lineWidth = width;
  surface.setLineDash(dash);
  surface.stroke();
  surface.setLineDash([]);
  surface.globalAlpha = 1;
}

function drawPoints(surface, stage, { plane, colouring, shown, selected }) {
  const { ratio, camera, marks } = stage;
  const some = selected !== null && selected.some((chosen) => chosen);
  surface.save();
  surface.setTransform(1, 0, 0, 1, 0, 0);
  for (const pass of some ? [false, true] : [true]) {
    surface.globalAlpha = pass ? 1 : 0.3;
    for (let row = 0; row < shown.length; row += 1) {
      if (!shown[row] || (some && Boolean(selected[row]) !== pass)) continue;
      const [x, y] = camera.toScreen(plane.places[2 * row], plane.places[2 * row + 1]);
      if (x < -9 || y < -9 || x > stage.width + 9 || y > stage.height + 9) continue;
      const { shape, colour, hollow } = colouring.look(row);
      marks(surface, x * ratio, y * ratio, shape, colour, hollow);
    }
  }
  surface.restore();
}

/** Write a name; one that would stand on another moves up or down. */
function drawLabel(surface, stage, { x, y, text, strong = true, first = false }, taken) {
  const [middle, wanted] = stage.camera.toScreen(x, y);
  const size = strong && stage.width > NARROW ? 14 : 12;
  surface.font = `${strong ? 700 : 400} ${size}px system-ui, sans-serif`;
  const half = surface.measureText(text).width / 2;
  const [least, most] = [MARGIN.left + 2, stage.width - MARGIN.right - 2];
  if (!first && (middle < least || middle > most)) return; // what it names is not in sight
  const left = first ? MARGIN.left + 4 : Math.max(least + half, Math.min(most - half, middle));
  const isFree = (top) => taken.every((other) => Math.abs(other.top - top) >= size || Math.abs(other.left - left) >= half + other.half);
  const top = strong && !first ? ([0, -1, 1, -2, 2, -3, 3].map((step) => wanted + step * size).find(isFree) ?? wanted) : wanted;
  if (top < MARGIN.top + 8 || top > stage.height - MARGIN.bottom - 8) return; // it would be cut off
  if (strong) taken.push({ left, top, half });
  surface.textAlign = first ? "left" : "center";
  surface.textBaseline = "middle";
  surface.lineJoin = "round";
  surface.lineWidth = 4;
  surface.strokeStyle = stage.theme.colour("panel");
  surface.strokeText(text, left, top);
  surface.fillStyle = stage.theme.colour("ink");
  surface.fillText(text, left, top);
  surface.font = FONT;
}

/** Draw what moves: cursor, nearest row, pinned place, and the outline of a selection. */
export function drawAbove(stage, { cursor, nearest, pinned, outline, plane }) {
  const surface = stage.above.getContext("2d");
  const { ratio, theme, camera } = stage;
  surface.setTransform(1, 0, 0, 1, 0, 0);
  surface.clearRect(0, 0, stage.above.width, stage.above.height);
  surface.setTransform(ratio, 0, 0, ratio, 0, 0);
  const ink = theme.colour("ink");
  if (outline && outline.length) drawOutline(surface, stage, outline);
  const ring = (place, radius, width) => {
    const [x, y] = camera.toScreen(...place);
    for (const [colour, line] of [[theme.colour("panel"), width + 2], [ink, width]]) {
      surface.beginPath();
      surface.arc(x, y, radius, 0, 2 * Math.PI);
      surface.strokeStyle = colour;
      surface.lineWidth = line;
      surface.stroke();
    }
  };
  if (nearest !== null) ring(nearest, 7, 1.5);
  if (pinned !== null) {
    ring(pinned, 9, 2.5);
    const [x, y] = camera.toScreen(...pinned);
    drawMark(surface, { x, y, radius: 3, shape: 0, colour: theme.colour("accent"), edge: theme.colour("panel") });
  }
  if (cursor !== null) drawCursor(surface, stage, cursor, plane.isStrip);
}

function drawOutline(surface, stage, outline) {
  surface.beginPath();
  outline.forEach(([x, y]) => surface.lineTo(...stage.camera.toScreen(x, y)));
  surface.closePath();
  surface.strokeStyle = stage.theme.colour("accent");
  surface.lineWidth = 2;
  surface.setLineDash([6, 4]);
  surface.stroke();
  surface.setLineDash([]);
  surface.globalAlpha = 0.08;
  surface.fillStyle = stage.theme.colour("accent");
  surface.fill();
  surface.globalAlpha = 1;
}

function drawCursor(surface, stage, cursor, isStrip) {
  const [x, y] = stage.camera.toScreen(...cursor);
  const arms = isStrip ? [[0, MARGIN.top - y, 0, stage.height - MARGIN.bottom - y]] : [[-17, 0, -5, 0], [5, 0, 17, 0], [0, -17, 0, -5], [0, 5, 0, 17]];
  for (const [colour, width] of [[stage.theme.colour("panel"), 6], [stage.theme.colour("ink"), 2.5]]) {
    surface.strokeStyle = colour;
    surface.lineWidth = width;
    surface.beginPath();
    for (const [x0, y0, x1, y1] of arms) {
      surface.moveTo(x + x0, y + y0);
      surface.lineTo(x + x1, y + y1);
    }
    surface.stroke();
  }
}
