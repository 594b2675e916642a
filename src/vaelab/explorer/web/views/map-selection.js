// A selection of rows: which rows an area has, and what distinguishes them from the others.

import { button } from "../ui/controls.js";
import { differenceLegend, differenceView, largest } from "../ui/difference.js";
import { fill, h } from "../ui/dom.js";
import { insidePolygon, shortNumber } from "../ui/geometry.js";
import { observationView } from "../ui/observation.js";
import { shortName, thumbnails, valueText } from "./map-details.js";

const SHOWN = { image: 24, table: 8, columns: 12, variables: 4, classes: 12 };

/** Return an area as text of the address: "p:x,y;x,y;..." a polygon of the plane, "g:colouring:group" a class. */
export function areaText(area) {
  if (area.group !== undefined) return `g:${area.key}:${area.group}`;
  return `p:${area.polygon.map((corner) => corner.map((value) => Number(value.toPrecision(5))).join(",")).join(";")}`;
}

/** Return the area of such a text; null for another text. */
export function areaOf(text) {
  if (!text) return null;
  const [kind, ...rest] = text.split(":");
  if (kind === "g") return { key: rest[0], group: Number(rest[1]) };
  const polygon = (rest[0] ?? "").split(";").map((corner) => corner.split(",").map(Number));
  return polygon.length > 2 && polygon.flat().every(Number.isFinite) ? { polygon } : null;
}

/** Return a number for each row, 1 for the rows of an area, of those that are shown; null without an area. */
export function rowsIn(area, { plane, shown, groupsOf }) {
  if (area === null) return null;
  const groups = area.polygon ? null : groupsOf(area.key);
  return Uint8Array.from(shown, (seen, row) => {
    if (!seen) return 0;
    if (groups) return groups[row] === area.group ? 1 : 0;
    return insidePolygon(area.polygon, plane.places[2 * row], plane.places[2 * row + 1]) ? 1 : 0;
  });
}

/**
 * Compare the columns of selected rows with those of the others; what is missing is left out.
 *
 * Returns the numbers of rows, both means, their difference, its standard error sqrt(s1^2 / n1 + s2^2 / n2), NaN where one
 * side has fewer than two values, and the standard deviation of all values of each column.
 */
export function compareRows(data, chosen) {
  const sides = [0, 1].map(() => ({ n: new Float64Array(data.size), sum: new Float64Array(data.size), squares: new Float64Array(data.size) }));
  for (let row = 0; row < data.count; row += 1) {
    const side = sides[chosen[row]];
    for (let column = 0; column < data.size; column += 1) {
      const value = data.x[row * data.size + column];
      if (Number.isNaN(value)) continue;
      side.n[column] += 1;
      side.sum[column] += value;
    }
  }
  const means = sides.map((side) => side.sum.map((sum, column) => sum / side.n[column]));
  for (let row = 0; row < data.count; row += 1) {
    for (let column = 0; column < data.size; column += 1) {
      const value = data.x[row * data.size + column];
      if (!Number.isNaN(value)) sides[chosen[row]].squares[column] += (value - means[chosen[row]][column]) ** 2;
    }
  }
  const variance = (side) => side.squares.map((sum, column) => (side.n[column] > 1 ? sum / (side.n[column] - 1) : NaN));
  const [others, selected] = sides.map(variance);
  const count = chosen.reduce((sum, one) => sum + one, 0);
  const difference = means[1].map((mean, column) => mean - means[0][column]);
  return {
    count,
    others: data.count - count,
    mean: Float32Array.from(means[1]),
    otherMean: Float32Array.from(means[0]),
    difference,
    error: difference.map((_, column) => Math.sqrt(selected[column] / sides[1].n[column] + others[column] / sides[0].n[column])),
    deviation: difference.map((gap, column) => pooled(sides, gap, column)),
  };
}

function pooled(sides, gap, column) {
  const [a, b] = sides.map((side) => side.n[column]);
  const between = a && b ? (gap * gap * a * b) / (a + b) : 0;
  return Math.sqrt((sides[0].squares[column] + sides[1].squares[column] + between) / (a + b));
}

/** Return the columns by the size of their difference in standard deviations, largest first; columns that do not vary are left out. */
export function rankedColumns({ difference, deviation }) {
  const effect = Array.from(difference, (gap, column) => (deviation[column] > 0 ? Math.abs(gap) / deviation[column] : NaN));
  return effect.map((_, column) => column).filter((column) => !Number.isNaN(effect[column])).sort((a, b) => effect[b] - effect[a]);
}

/** Return the panel of a selection: `show(chosen)`, null for none. */
export function openSelection({ run, theme, onPin, onClear, hint }) {
  const element = h("section", { class: "map-selection", "aria-label": "Selected rows" });
  return {
    element,
    show(chosen) {
      const rows = chosen === null ? [] : Array.from(chosen.keys()).filter((row) => chosen[row]);
      element.dataset.count = rows.length;
      if (!rows.length) {
        fill(element, h("h2", { text: "Select rows" }), h("p", { class: "soft", text: chosen === null ? hint : `No row is inside. ${hint}` }));
        return;
      }
      const found = compareRows(run.data, chosen);
      fill(
        element,
        h("div", { class: "map-head" }, h("h2", { text: `${found.count} of ${run.data.count} rows selected` }), button("Clear", onClear)),
        classCounts(run.data, rows),
        run.data.image ? imagePart(run, theme, found) : tablePart(run.data, found),
        meanPart(run, theme, found),
        someRows(run, theme, rows, found, onPin),
        rowNumbers(run.data, rows),
      );
    },
  };
}

function classCounts(data, rows) {
  if (!data.labels) return null;
  const counts = data.classes.map((name, group) => [name, rows.filter((row) => data.labels[row] === group).length]);
  const seen = counts.filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  const most = seen[0][1];
  const left = seen.length - SHOWN.classes;
  const rest = left > 0 ? h("p", { class: "small soft", text: `The ${SHOWN.classes} most frequent of ${seen.length} classes.` }) : null;
  const lines = seen.slice(0, SHOWN.classes).map(([name, count]) => {
    const bar = h("div", { class: "bar" });
    bar.style.width = `${(100 * count) / most}%`;
    return h("div", { class: "bar-row" }, h("span", { class: "name", title: name, text: `class ${name}` }), h("div", { class: "track" }, bar), h("span", { class: "value", text: String(count) }));
  });
  return h("div", {}, h("div", { class: "bars map-counts" }, lines), rest);
}

function imagePart({ data }, theme, found) {
  const picture = (title, x) => {
    const view = observationView({ data, theme, label: title, size: 104 });
    view.show(x);
    return h("figure", {}, h("h3", { text: title }), view.element);
  };
  if (!found.others) return picture("Their mean", found.mean);
  const gap = differenceView({ data, theme, label: "Mean of the selected rows minus mean of the others", size: 104 });
  gap.show(found.difference);
  const legend = differenceLegend("ink in the selected rows, compared with the others");
  legend.show(largest(found.difference));
  const difference = h("figure", {}, h("h3", { text: "Difference" }), gap.element);
  return h("div", { class: "map-slots" }, picture("Their mean", found.mean), picture("Mean of the others", found.otherMean), difference, legend.element);
}

function tablePart(data, found) {
  if (!found.others) return h("p", { class: "soft", text: "All rows are selected: there are no others to compare them with." });
  const ranked = rankedColumns(found);
  const shown = ranked.slice(0, SHOWN.columns);
  const body = shown.map((column) => {
    const { difference, error } = found;
    const steps = error[column] > 0 ? shortNumber(difference[column] / error[column]) : "–";
    const cells = [found.mean[column], found.otherMean[column]].map(shortNumber);
    return h("tr", {}, h("th", { scope: "row", text: data.columns[column] }), [...cells, steps].map((text) => h("td", { text })));
  });
  const heads = ["column", "selected", "others", "dif\u00adfer\u00adence in stan\u00addard errors"];
  const table = h("table", { class: "map-ranked" }, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col", text })))), h("tbody", {}, body));
  const text = `The ${shown.length} of ${data.size} columns whose means differ most, counted in standard deviations of the column. The rows were chosen by looking at the map, so standard errors describe the difference; they do not test it.`;
  return h("div", {}, h("h3", { text: "What distinguishes them" }), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Columns that differ most" }, table), h("p", { class: "small soft", text }));
}

function meanPart({ data }, theme, found) {
  if (data.image) return null;
  const view = observationView({ data, theme, label: "Mean of the selected rows" });
  view.show(found.mean);
  return h("details", {}, h("summary", { text: "Means of the columns of the selected rows" }), view.element);
}

function someRows({ data }, theme, rows, found, onPin) {
  const count = data.image ? SHOWN.image : SHOWN.table;
  const step = Math.max(1, rows.length / count);
  const some = Array.from({ length: Math.min(count, rows.length) }, (_, place) => rows[Math.floor(place * step)]);
  const title = h("h3", { text: some.length < rows.length ? `${some.length} of them, evenly taken` : "The rows" });
  if (data.image) {
    const label = (place) => `row ${some[place]}${data.labels ? `, class ${data.classes[data.labels[some[place]]]}` : ""}: pin it`;
    return h("div", {}, title, thumbnails({ data, theme, rows: some.map((row) => data.row(row)), label, onClick: (place) => onPin(some[place]) }));
  }
  const ranked = rankedColumns(found);
  const variables = [...new Set(ranked.map((column) => data.variables.find(({ start, stop }) => start <= column && column < stop)))].slice(0, SHOWN.variables);
  const body = some.map((row) => h("tr", {}, h("td", {}, h("button", { type: "button", class: "map-row", onclick: () => onPin(row), text: String(row), "aria-label": `Pin row ${row}` })), variables.map((variable) => h("td", { text: valueText(variable, data.row(row)) }))));
  const head = h("tr", {}, ["row", ...variables.map((variable) => variable.name)].map((name) => h("th", { scope: "col", title: name, text: shortName(name, 20) })));
  return h("div", {}, title, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Some of the selected rows" }, h("table", { class: "map-some" }, h("thead", {}, head), h("tbody", {}, body))));
}

function rowNumbers(data, rows) {
  const text = h("textarea", { class: "map-rows", rows: 3, readonly: true, "aria-label": "Numbers of the selected rows" });
  text.value = rows.join(", ");
  return h("details", {}, h("summary", { text: `Row numbers, counted from 0 in the ${data.split} split` }), text);
}
