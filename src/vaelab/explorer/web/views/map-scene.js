// What is drawn on the map below the cursor: rows, names of classes, the prior, and the histogram of a strip.

import { shortName } from "./map-details.js";
import { startsWithContours, startsWithOutlines } from "./map-prior.js";
import { onBars } from "./map-stage.js";

const BINS = 40;
const NAMED = 30; // more names of classes cannot be read in one picture

/** Return the titles of the two axes. */
export function titlesOf({ axes, plane }) {
  const text = (name) => axes.find(([other]) => other === name)?.[1] ?? "";
  const title = (name) => (name.startsWith("p") ? text(name).replace(")", " of the variance of the codes)") : text(name) && `${text(name)} of the code`);
  return plane.names.map(title);
}

/** Return the rows, lines, labels and bars of the map as it is now. */
export function scene(map) {
  const { plane, colouring, shown, chosen } = map;
  const bars = plane.isStrip ? barsOf(map) : [];
  return { plane, colouring, shown, selected: chosen, lines: plane.isStrip ? curveOf(map, bars) : linesOf(map), labels: labelsOf(map), bars };
}

/** Return the density that the prior has on a strip, on the scale of the histogram [[left, right, part, counts], ...]. */
function curveOf(map, bars) {
  const { plane, circles, components, layer } = map;
  const parts = circles.length ? [{ weight: 1, mean: plane.place(new Float32Array(layer.size)), covariance: plane.spread(null) }] : components;
  if (!parts.length || bars.length < 2 || !map.get("prior", startsWithOutlines(map))) return [];
  const densities = parts.map(({ weight, mean: [middle], covariance: [variance] }) => (x) => (weight * Math.exp((-0.5 * (x - middle) ** 2) / variance)) / Math.sqrt(2 * Math.PI * variance));
  const [low, high] = [bars[0][0], bars[bars.length - 1][1]];
  const [width, counts] = [bars[0][1] - bars[0][0], bars.map(([, , , count]) => count)];
  const scale = (counts.reduce((sum, count) => sum + count, 0) * width) / Math.max(...counts);
  const path = Array.from({ length: 160 }, (_, place) => {
    const x = low + ((high - low) * place) / 159;
    return [x, onBars(scale * densities.reduce((sum, density) => sum + density(x), 0))];
  });
  return [{ path, width: 2, colour: "accent" }];
}

function linesOf(map) {
  const lines = [];
  if (map.get("prior", startsWithOutlines(map))) {
    map.circles.forEach((points) => lines.push({ points, dash: [2, 4], width: 1.25 }));
    map.components.forEach(({ outline }, c) => lines.push({ points: outline, ...(c === componentOf(map) ? { width: 3, colour: "accent" } : { width: 1.25, strength: 0.55 }) }));
  }
  if (map.get("contours", startsWithContours(map))) map.contours.forEach((segments, level) => lines.push({ segments, width: 1.75 - 0.4 * level, colour: "accent-2", strength: 0.9 }));
  return lines;
}

/** Return the number of the component that is chosen; -1 for none. */
export function componentOf(map) {
  const chosen = map.get("component", 0);
  return Number.isInteger(chosen) && chosen >= 1 && chosen <= map.components.length ? chosen - 1 : -1;
}

function labelsOf(map) {
  const { plane, shown } = map;
  const labels = [];
  if (!plane.isStrip && map.circles.length && map.get("prior", startsWithOutlines(map))) {
    map.circles.forEach((points, index) => {
      const [x, y] = points[Math.round(points.length / 8)]; // up and to the right, where few labels are
      labels.push({ x, y, text: `${index + 1} sd`, strong: false });
    });
  }
  if (map.components.length && map.get("prior", startsWithOutlines(map))) map.components.forEach(({ mean }, c) => labels.push({ x: mean[0], y: mean[1], text: String(c + 1), strong: false }));
  const groups = namedGroups(map);
  if (!groups || groups.names.length > NAMED || !map.get("names", true)) return labels;
  groups.names.forEach((name, group) => {
    const rows = Array.from(shown.keys()).filter((row) => shown[row] && groups.of[row] === group);
    const first = plane.isStrip && groups.of === map.data.labels; // each class has a lane of its own
    if (rows.length) labels.push({ first, x: median(rows, plane.places, 0), y: median(rows, plane.places, 1), text: shortName(name, 18) });
  });
  return labels;
}

/** Return the classes whose names are written on the map: those of the colours, else those of the data; null without classes. */
export function namedGroups({ colouring, data }) {
  if (colouring?.names && colouring.key !== "component" && colouring.key !== "none") return colouring;
  return data.labels ? { names: data.classes, of: data.labels } : null;
}

function median(rows, places, axis) {
  const sorted = rows.map((row) => places[2 * row + axis]).sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

/** Return the histogram of the first coordinate of the rows that are shown: [[left, right, part of the highest, count], ...]. */
function barsOf({ plane, shown }) {
  const values = Array.from(shown.keys()).filter((row) => shown[row]).map((row) => plane.places[2 * row]);
  if (!values.length) return [];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const width = (high - low) / BINS || 0.05;
  const start = high > low ? low : low - width / 2;
  const counts = new Array(high > low ? BINS : 1).fill(0);
  for (const value of values) counts[Math.min(counts.length - 1, Math.floor((value - start) / width))] += 1;
  const most = Math.max(...counts);
  return counts.map((count, bin) => [start + bin * width, start + (bin + 1) * width, count / most, count]);
}
