// The posterior of one observation: bits as a grid of probabilities, numbers as means with their spread among those of the rows.

import { fill, h, svg } from "../ui/dom.js";
import { signed } from "./draw-words.js";

/** Return a picture of the posterior for a run: `{ element, show({ mean, spread }) }`. */
export function codeView(run) {
  if (run.model.code === "bits") return bitsView(run);
  return run.model.dim === 2 && run.model.layers.length === 0 ? planeView(run) : spreadView(run);
}

/** Return the layers of a code as `[{ name, start, stop }]`; one without a name if the code is one vector. */
export function layersOf({ layers, dim }) {
  const sizes = layers.length ? layers : [dim];
  let stop = 0;
  return sizes.map((size, index) => {
    stop += size;
    return { name: layers.length ? `Layer ${index + 1}, ${size} ${size === 1 ? "number" : "numbers"}` : "", start: stop - size, stop };
  });
}

function bitsView({ model }) {
  const grids = layersOf(model).map((layer) => bitGrid(layer));
  return {
    element: h("div", { class: "draw-code" }, grids.map((grid) => grid.element), scale()),
    show: ({ mean }) => grids.forEach((grid) => grid.show(mean)),
  };
}

function bitGrid({ name, start, stop }) {
  const size = stop - start;
  const columns = columnsFor(size);
  const rows = Math.ceil(size / columns);
  const cells = Array.from({ length: size }, (_, bit) => {
    const [x, y] = [10 * (bit % columns) + 0.5, 10 * Math.floor(bit / columns) + 0.5];
    const title = svg("title");
    return { title, ink: svg("rect", { x, y, width: 9, height: 9, class: "draw-bit" }), frame: svg("rect", { x, y, width: 9, height: 9, class: "draw-bit-frame" }, title) };
  });
  const picture = svg("svg", { viewBox: `0 0 ${10 * columns} ${10 * rows}`, role: "img", class: "draw-bits" }, cells.flatMap((cell) => [cell.ink, cell.frame]));
  picture.style.maxWidth = `${Math.max(120, Math.min(336, 22 * columns))}px`;
  return {
    element: h("div", {}, name ? h("p", { class: "small soft", text: name.replace("number", "bit") }) : null, picture),
    show(mean) {
      let on = 0;
      cells.forEach(({ ink, title }, bit) => {
        const p = mean[start + bit];
        ink.setAttribute("fill-opacity", p.toFixed(3));
        title.textContent = `bit ${bit}: ${p.toFixed(2)}`;
        on += p > 0.5 ? 1 : 0;
      });
      picture.setAttribute("aria-label", `Probabilities of ${size} bits; ${on} are more likely 1`);
    },
  };
}

/** Full rows of bits where a number of columns near twice that of the rows allows it. */
function columnsFor(size) {
  const wide = Math.ceil(Math.sqrt(1.6 * size));
  const full = Array.from({ length: size }, (_, place) => place + 1).find((columns) => size % columns === 0 && columns >= wide && columns <= 1.8 * wide);
  return Math.min(size, full ?? wide);
}

function scale() {
  return h("p", { class: "small soft", text: "One square for each bit: empty is probability 0, full is probability 1 of the bit being 1." });
}

/** The 5th, 50th and 95th percentile of each number of the code among the rows. */
function bandsOf({ codes, data, model }) {
  return Array.from({ length: model.dim }, (_, place) => {
    const values = Float64Array.from({ length: data.count }, (__, row) => codes[row * model.dim + place]).sort();
    return [0.05, 0.5, 0.95].map((share) => values[Math.round(share * (values.length - 1))]);
  });
}

function spreadView(run) {
  const { dim } = run.model;
  const bands = bandsOf(run);
  const step = Math.max(7, Math.min(44, 520 / dim));
  const [left, height] = [34, 170];
  const width = left + step * dim + 8;
  const layer = svg("g");
  const back = svg("g");
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "draw-spread" }, back, layer);
  picture.style.maxWidth = `${Math.max(200, Math.min(width, 620))}px`;
  const middle = (place) => left + (place + 0.5) * step;
  const show = ({ mean, spread }) => {
    const ends = [...bands.flatMap((band) => [band[0], band[2]]), ...mean.map((value, place) => value - (spread ? spread[place] : 0)), ...mean.map((value, place) => value + (spread ? spread[place] : 0))];
    const most = niceLimit(Math.max(...ends.map(Math.abs)));
    const y = (value) => 8 + ((most - value) / (2 * most)) * (height - 30);
    fill(back, [most, 0, -most].map((value) => [svg("line", { class: "chart-grid", x1: left, x2: width - 8, y1: y(value), y2: y(value) }), svg("text", { class: "chart-tick", x: left - 5, y: y(value) + 4, "text-anchor": "end", text: String(value).replace("-", "\u2212") })]).flat());
    back.append(...bands.map((band, place) => svg("rect", { class: "draw-band", x: middle(place) - 0.38 * step, width: 0.76 * step, y: y(band[2]), height: y(band[0]) - y(band[2]) })));
    back.append(...numbered(dim, step).map((place) => svg("text", { class: "chart-tick", x: middle(place), y: height - 6, "text-anchor": "middle", text: String(place) })));
    fill(layer, Array.from(mean, (value, place) => pin(middle(place), step, y(value), spread ? [y(value + spread[place]), y(value - spread[place])] : null, `z${place}: ${signed(value)}${spread ? ` \u00b1 ${spread[place].toFixed(2)}` : ""}`)));
    picture.setAttribute("aria-label", `The code: ${dim} means${spread ? " with their standard deviations" : ""}, among those of the rows`);
  };
  return { element: h("div", { class: "draw-code" }, picture, legend(run, "band")), show };
}

function pin(x, step, y, ends, words) {
  const reach = Math.min(7, 0.38 * step);
  return svg("g", {}, svg("title", { text: words }), ends ? [svg("line", { class: "draw-sd", x1: x, x2: x, y1: ends[0], y2: ends[1] })] : [], svg("line", { class: "draw-mean", x1: x - reach, x2: x + reach, y1: y, y2: y }));
}

function numbered(dim, step) {
  const every = [1, 2, 5, 10, 20, 50, 100].find((jump) => jump * step >= 16) ?? 200;
  return Array.from({ length: Math.ceil(dim / every) }, (_, place) => place * every);
}

function niceLimit(value) {
  return [0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100].find((limit) => limit >= value) ?? Math.ceil(value);
}

function legend({ model, data }, kind) {
  const dots = data.labels ? "The dots are the codes of the rows, with the colours of their classes" : "The dots are the codes of the rows";
  const rows = kind === "band" ? "The band spans the codes of nine tenths of the rows" : dots;
  const mark = model.code === "point" ? "the mark is the code of this input." : "the mark is the posterior mean of this input, with one standard deviation to each side.";
  return h("p", { class: "small soft", text: `${rows}; ${mark}` });
}

function planeView(run) {
  const { codes, data } = run;
  const size = 300;
  const most = niceLimit(1.02 * codes.reduce((largest, value) => Math.max(largest, Math.abs(value)), run.model.code === "point" ? 0.4 : 2)); // the prior has standard deviation 1
  const at = (value) => (size * (value + most)) / (2 * most);
  const dots = new Map();
  for (let row = 0; row < data.count; row += 1) {
    const group = data.labels ? data.labels[row] % 10 : 4;
    dots.set(group, `${dots.get(group) ?? ""}M${at(codes[2 * row]).toFixed(1)} ${at(-codes[2 * row + 1]).toFixed(1)}h0`);
  }
  const paths = [...dots].map(([group, d]) => {
    const path = svg("path", { class: "draw-dots", d });
    path.style.stroke = `var(--class-${group})`;
    return path;
  });
  const axes = [svg("line", { class: "chart-grid", x1: 0, x2: size, y1: at(0), y2: at(0) }), svg("line", { class: "chart-grid", x1: at(0), x2: at(0), y1: 0, y2: size })];
  const ends = [svg("text", { class: "chart-tick", x: 3, y: at(0) - 4, text: `\u2212${most}` }), svg("text", { class: "chart-tick", x: size - 3, y: at(0) - 4, "text-anchor": "end", text: String(most) })];
  const mark = svg("g");
  const picture = svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", class: "draw-plane" }, axes, ends, paths, mark);
  const show = ({ mean, spread }) => {
    const [x, y] = [at(Math.max(-most, Math.min(most, mean[0]))), at(Math.max(-most, Math.min(most, -mean[1])))];
    const wide = spread ? [spread[0], spread[1]].map((value) => (size * value) / (2 * most)) : [0, 0];
    fill(mark, svg("ellipse", { class: "draw-ellipse", cx: x, cy: y, rx: Math.max(2, wide[0]), ry: Math.max(2, wide[1]) }), svg("path", { class: "draw-here", d: `M${x - 9} ${y}h18M${x} ${y - 9}v18` }));
    const words = [0, 1].map((place) => `z${place} = ${signed(mean[place])}${spread ? ` \u00b1 ${spread[place].toFixed(2)}` : ""}`).join(", ");
    picture.setAttribute("aria-label", `The code among those of the rows: ${words}`);
    place.textContent = words;
  };
  const place = h("p", { class: "value" });
  return { element: h("div", { class: "draw-code" }, picture, place, data.labels ? classNames(data) : null, legend(run, "dots")), show };
}

function classNames({ classes }) {
  const names = classes.map((name, index) => {
    const dot = svg("circle", { cx: 5, cy: 5, r: 5 });
    dot.style.fill = `var(--class-${index % 10})`;
    return h("li", {}, svg("svg", { width: 10, height: 10, "aria-hidden": "true" }, dot), h("span", { text: name }));
  });
  return h("ul", { class: "chart-legend", "aria-label": "Classes" }, names);
}
