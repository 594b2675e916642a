// Charts: lines and histograms as SVG. The values are read with the pointer, with the arrow keys, or as a table.

import { fill, h, svg, unique } from "./dom.js";
import { briefNumber, roundNumbers, shownNumber } from "./numbers.js";

const MARGIN = { left: 58, right: 14, top: 26, bottom: 40 };
const EDGE = 9;

/** Return a chart of lines: `{ element, show({ series: [{ name, points: [[x, y], ...], tone, dash, dots }], marks, range }) }`.
 * The points of a line stand in the order of x. `tone` names a colour of the theme. `key` is the text of the legend, if not the name; null for
 * none. A mark is a ring at { x, y, name, tone }. */
export function lineChart({ title, x, y, height = 260 }) {
  let shown = { series: [], marks: [], range: null };
  let stops = [];
  const chart = frame({ title, height, draw, read: (place) => readLines(shown.series, stops[place], x, y), table });
  function draw(width) {
    stops = [...new Set(shown.series.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
    const values = shown.series.flatMap((line) => line.points.map((point) => point[1]));
    const across = axis(extent(stops), MARGIN.left, width - MARGIN.right, Math.max(2, Math.floor(width / 80)), x);
    const up = axis(shown.range ?? extent(values, 0.04), height - MARGIN.bottom, MARGIN.top, Math.max(2, Math.floor(height / 55)), y);
    const box = { left: MARGIN.left, top: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const [x0, y0, wide, tall] = [box.left - EDGE, box.top - EDGE, box.width + 2 * EDGE, box.height + 2 * EDGE]; // dots at the edge are whole
    const clip = svg("svg", { x: x0, y: y0, width: wide, height: tall, viewBox: `${x0} ${y0} ${wide} ${tall}` });
    clip.append(...shown.series.flatMap((line) => drawnLine(line, across.at, up.at)), ...(shown.marks ?? []).map((mark) => ring(mark, across.at, up.at)));
    return { parts: [...axes(across, up, width, height, x, y), clip], places: stops.map(across.at), across: box };
  }
  function table() {
    const head = [x.label, ...shown.series.map((line) => line.name)];
    const found = shown.series.map((line) => new Map(line.points));
    const rows = stops.map((stop) => [format(x, stop), ...found.map((values) => (values.has(stop) ? format(y, values.get(stop)) : "–"))]);
    return { head, rows };
  }
  return {
    element: chart.element,
    show(next) {
      shown = { marks: [], range: null, ...next };
      chart.show([...shown.series.filter((line) => line.key !== null).map(legendOfLine), ...shown.marks.filter((mark) => mark.name).map(legendOfMark)]);
    },
  };
}

/** Return a histogram: `{ element, show({ values, marks: [{ x, name, tone }], bins, range }) }`; a mark is an upright line at a value. */
export function histogram({ title, x, y = { label: "rows" }, height = 220 }) {
  let shown = { values: [], marks: [] };
  let counted = null;
  const chart = frame({ title, height, draw, read: (place) => readBin(counted, place, x, y), table });
  function draw(width) {
    const across = axis([counted.low, counted.high], MARGIN.left, width - MARGIN.right, Math.max(2, Math.floor(width / 80)), x);
    const up = axis([0, Math.max(1, ...counted.counts)], height - MARGIN.bottom, MARGIN.top, 3, y);
    const bars = Array.from(counted.counts, (count, place) => {
      const [left, right] = [edge(counted, place), edge(counted, place + 1)].map(across.at);
      return svg("rect", { class: "chart-bin", x: left, width: Math.max(0.5, right - left - 1), y: up.at(count), height: up.at(0) - up.at(count) });
    });
    const marks = shown.marks.map((mark) => post(mark, across.at, height));
    const places = Array.from(counted.counts, (_, place) => across.at((edge(counted, place) + edge(counted, place + 1)) / 2));
    const box = { top: MARGIN.top, height: height - MARGIN.top - MARGIN.bottom };
    return { parts: [...axes(across, up, width, height, x, y), ...bars, ...marks], places, across: box };
  }
  function table() {
    const rows = Array.from(counted.counts, (count, place) => [`${format(x, edge(counted, place))} to ${format(x, edge(counted, place + 1))}`, String(count)]);
    return { head: [x.label, y.label], rows };
  }
  return {
    element: chart.element,
    show(next) {
      const same = counted !== null && next.values === shown.values && next.bins === shown.bins && next.marks?.every((mark) => mark.x >= counted.low && mark.x <= counted.high);
      shown = { marks: [], ...next };
      if (!same) counted = counts(shown);
      chart.show(shown.marks.filter((mark) => mark.name).map(legendOfMark));
    },
  };
}

/** Return how many values lie in each of equal intervals: `{ low, high, counts }`; marks are inside the range. */
export function counts({ values, marks = [], bins = null, range = null }) {
  const finite = Float64Array.from(values).filter(Number.isFinite).sort();
  const [low, high] = range ?? extent([...finite.subarray(0, 1), ...finite.subarray(-1), ...marks.map((mark) => mark.x)], 0.01);
  const middle = finite.length ? finite[Math.floor(0.75 * (finite.length - 1))] - finite[Math.floor(0.25 * (finite.length - 1))] : 0;
  const wide = (2 * middle) / Math.cbrt(Math.max(1, finite.length)); // Freedman and Diaconis (1981)
  const number = bins ?? Math.min(60, Math.max(8, wide > 0 ? Math.ceil((high - low) / wide) : 8));
  const found = new Int32Array(number);
  for (const value of finite) {
    if (value >= low && value <= high) found[Math.min(number - 1, Math.floor((number * (value - low)) / (high - low)))] += 1;
  }
  return { low, high, counts: found };
}

function edge({ low, high, counts: found }, place) {
  return low + ((high - low) * place) / found.length;
}

function extent(values, margin = 0) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low <= high)) return [0, 1];
  const more = high > low ? margin * (high - low) : Math.max(0.5, Math.abs(high) * 0.05);
  return [low - more, high + more];
}

function axis([low, high], from, to, count, { whole = false }) {
  const at = (value) => Math.round((from + ((value - low) / (high - low)) * (to - from)) * 100) / 100;
  return { at, ticks: roundNumbers(low, high, count).filter((tick) => !whole || Number.isInteger(tick)) };
}

function format(side, value) {
  return (side.format ?? briefNumber)(value);
}

function axes(across, up, width, height, x, y) {
  const floor = height - MARGIN.bottom;
  return [
    ...up.ticks.map((tick) => svg("line", { class: "chart-grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: up.at(tick), y2: up.at(tick) })),
    ...up.ticks.map((tick) => svg("text", { class: "chart-tick", x: MARGIN.left - 8, y: up.at(tick) + 4, "text-anchor": "end", text: tickText(tick, up.ticks) })),
    svg("line", { class: "chart-axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: floor, y2: floor }),
    ...across.ticks.map((tick) => svg("text", { class: "chart-tick", x: across.at(tick), y: floor + 17, "text-anchor": "middle", text: tickText(tick, across.ticks) })),
    svg("text", { class: "chart-label", x: width - MARGIN.right, y: height - 5, "text-anchor": "end", text: x.label }),
    svg("text", { class: "chart-label", x: 0, y: 13, text: y.label }),
  ];
}

/** A tick with as many decimals as its neighbours need. */
function tickText(tick, all) {
  const decimals = Math.max(...all.map((each) => (String(each).split(".")[1] ?? "").length));
  return decimals > 4 || Math.abs(tick) >= 1e6 ? briefNumber(tick) : shownNumber(tick, decimals);
}

function drawnLine({ points, tone, dash, dots }, across, up) {
  const path = points.map(([x, y], place) => `${place ? "L" : "M"}${across(x)} ${up(y)}`).join("");
  const line = svg("path", { class: dash ? "chart-line dashed" : "chart-line", d: path });
  line.style.stroke = `var(--${tone})`;
  if (!dots) return [line];
  const marks = points.map(([x, y]) => svg("circle", { class: "chart-dot", cx: across(x), cy: up(y), r: 3 }));
  for (const mark of marks) mark.style.fill = `var(--${tone})`;
  return [line, ...marks];
}

function ring({ x, y, tone }, across, up) {
  const mark = svg("circle", { class: "chart-ring", cx: across(x), cy: up(y), r: 7 });
  mark.style.stroke = `var(--${tone})`;
  return mark;
}

function post({ x, tone }, across, height) {
  const mark = svg("line", { class: "chart-post", x1: across(x), x2: across(x), y1: MARGIN.top, y2: height - MARGIN.bottom });
  mark.style.stroke = `var(--${tone})`;
  return mark;
}

function legendOfLine({ name, key = name, tone, dash, dots }) {
  const sign = svg("svg", { width: 26, height: 12, "aria-hidden": "true" }, drawnLine({ points: [[0, 0], [1, 0]], tone, dash, dots: false }, (x) => 1 + 24 * x, () => 6));
  if (dots) sign.append(...drawnLine({ points: [[0, 0]], tone, dots }, () => 13, () => 6).slice(1));
  return h("li", {}, sign, h("span", { text: key }));
}

function legendOfMark({ name, tone, y }) {
  const shape = y === undefined ? post({ x: 0, tone }, () => 13, 12 + MARGIN.bottom) : ring({ x: 0, y: 0, tone }, () => 13, () => 6);
  if (y === undefined) shape.setAttribute("y1", 0);
  else shape.setAttribute("r", 5);
  return h("li", {}, svg("svg", { width: 26, height: 12, "aria-hidden": "true" }, shape), h("span", { text: name }));
}

function readLines(series, stop, x, y) {
  const found = series.flatMap((line) => {
    const point = line.points.find((each) => each[0] === stop);
    return point ? [`${line.name} ${format(y, point[1])}`] : [];
  });
  return `${x.label} ${format(x, stop)}: ${found.join(" · ")}`;
}

function readBin(counted, place, x, y) {
  return `${x.label} ${format(x, edge(counted, place))} to ${format(x, edge(counted, place + 1))}: ${counted.counts[place].toLocaleString("en")} ${y.label}`;
}

/** The box of a chart: title, legend, picture, the value that is read, and the table. `draw(width)` returns the parts and where x can be read. */
function frame({ title, height, draw, read, table }) {
  const [name, help] = [unique("chart"), unique("chart-help")];
  const picture = svg("svg", { class: "chart-picture", height, "aria-hidden": "true" });
  const cursor = svg("line", { class: "chart-cursor", visibility: "hidden" });
  const reading = h("output", { class: "chart-reading" });
  const legend = h("ul", { class: "chart-legend" });
  const box = h("div", { class: "chart-box", tabindex: 0, role: "group", "aria-labelledby": name, "aria-describedby": help }, picture);
  const values = tableOf(table);
  const note = h("p", { id: help, class: "unseen", text: "The left and right arrow keys read the values; they also stand in a table below." });
  const element = h("figure", { class: "chart" }, h("figcaption", { id: name, text: title }), legend, box, reading, note, values.element);
  let [places, at] = [[], null];
  const point = (next) => {
    at = next;
    reading.textContent = at === null ? "" : read(at);
    cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const side of ["x1", "x2"]) cursor.setAttribute(side, places[at]);
  };
  const redraw = () => {
    const width = Math.floor(box.clientWidth);
    if (width < 80 || !drawn.ready) return;
    picture.setAttribute("width", width);
    const made = draw(width);
    places = made.places;
    cursor.setAttribute("y1", made.across.top);
    cursor.setAttribute("y2", made.across.top + made.across.height);
    fill(picture, ...made.parts, cursor);
    point(at !== null && at < places.length ? at : null);
    values.update();
  };
  const drawn = { ready: false };
  new ResizeObserver(redraw).observe(box);
  readable(box, picture, () => places, () => at, point);
  return {
    element,
    show(items) {
      drawn.ready = true;
      fill(legend, items);
      redraw();
    },
  };
}

/** Move the value that is read with the pointer and the keys. */
function readable(box, picture, places, at, point) {
  box.addEventListener("pointermove", (event) => {
    const x = event.clientX - picture.getBoundingClientRect().left;
    const all = places();
    let best = null;
    all.forEach((place, index) => {
      if (best === null || Math.abs(place - x) < Math.abs(all[best] - x)) best = index;
    });
    if (best !== at()) point(best);
  });
  box.addEventListener("pointerleave", () => point(null));
  box.addEventListener("keydown", (event) => {
    const last = places().length - 1;
    const now = at();
    const steps = { ArrowRight: now === null ? 0 : now + 1, ArrowLeft: now === null ? last : now - 1, Home: 0, End: last, Escape: null };
    if (!(event.key in steps) || last < 0) return;
    event.preventDefault();
    point(steps[event.key] === null ? null : Math.min(last, Math.max(0, steps[event.key])));
  });
}

/** A table of the values that is made when it is opened. */
function tableOf(table) {
  const inner = h("div", { class: "scroll chart-values", tabindex: 0, role: "region", "aria-label": "Values of the chart" });
  const element = h("details", { class: "chart-table" }, h("summary", { text: "Values as a table" }), inner);
  const update = () => {
    if (!element.open) return;
    const { head, rows } = table();
    const cells = (row, tag) => row.map((text, place) => h(place ? tag : "th", { scope: tag === "th" ? "col" : place ? null : "row", text }));
    fill(inner, h("table", {}, h("thead", {}, h("tr", {}, cells(head, "th"))), h("tbody", {}, rows.map((row) => h("tr", {}, cells(row, "td"))))));
  };
  element.addEventListener("toggle", update);
  return { element, update };
}
