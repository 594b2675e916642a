// The entry of a row of a table: one labelled control for each variable, with the value that the model gives it beside it.

import { button } from "../ui/controls.js";
import { fill, h, unique } from "../ui/dom.js";
import { placeIn } from "../ui/numbers.js";
import { cellOf, setCell, shortest, whyNot } from "./draw-input.js";

const PAGE = 40; // variables shown at once

/** Return a form: `{ element, show(x, { reconstruction, filled }) }`. `changed(x)` gets the row with a value changed; where
 * `mayHide`, a value can be "not observed". `ranges` are the lowest and highest value of each variable; `key` starts the keys of the state. */
export function rowForm({ variables, ranges, state, key, mayHide, changed, label, compared = true }) {
  const list = h("div", { class: compared ? "form-rows" : "form-rows plain", role: "group", "aria-label": label });
  const tools = variables.length > PAGE ? pager(state, key, variables) : null;
  let [shown, x, beside, cells] = [null, null, {}, []];
  const edit = (variable, value) => {
    const next = x.slice();
    setCell(variable, next, value);
    changed(next);
  };
  const draw = () => {
    const found = tools ? tools.found() : { indices: variables.map((_, index) => index), name: "" };
    if (found.name !== shown) {
      shown = found.name;
      cells = found.indices.map((index) => cell(variables[index], ranges[index], mayHide, edit));
      const head = h("div", { class: "form-head", "aria-hidden": "true" }, h("span", { text: "Variable" }), h("span", { text: "Value" }), compared ? h("span", { text: "The model\u2019s mean" }) : null);
      fill(list, head, cells.map((each) => each.element), cells.length ? null : h("p", { class: "soft", text: "No variable has this in its name." }));
    }
    cells.forEach((each) => each.show(x, beside));
  };
  return {
    element: h("div", {}, tools?.element ?? null, list),
    show(next, { reconstruction = null, filled = null } = {}) {
      [x, beside] = [next, { reconstruction, filled }];
      draw();
    },
  };
}

/** Return the lowest and the highest value of each variable among the rows of the data. */
export function rangesOf(data) {
  data.ranges ??= data.variables.map(({ start, kind }) => {
    if (kind === "categorical" || kind === "binary") return null;
    let [low, high] = [Infinity, -Infinity];
    for (let place = start; place < data.x.length; place += data.size) {
      if (data.x[place] < low) low = data.x[place];
      if (data.x[place] > high) high = data.x[place];
    }
    return low <= high ? [low, high] : null;
  });
  return data.ranges;
}

/** Return what a mean says of one variable: the probability of its second level, or of each level, or the number. */
export function meanWords(variable, x) {
  const levels = variable.levels ?? ["0", "1"];
  if (variable.kind === "binary") return `${levels[1]} ${x[variable.start].toFixed(2)}`;
  if (variable.kind !== "categorical") return String(Number(x[variable.start].toPrecision(4))).replace("-", "\u2212");
  const all = levels.map((level, index) => ({ level, p: x[variable.start + index] })).sort((a, b) => b.p - a.p);
  const named = all.slice(0, 4).map(({ level, p }) => `${level} ${p.toFixed(2)}`);
  return `${named.join(", ")}${all.length > 4 ? ", \u2026" : ""}`;
}

/** Return the length of a bar in [0, 1] for the mean of one variable: a probability, or the place in the range that was seen. */
function partOf(variable, range, x) {
  const value = x[variable.start];
  if (variable.kind === "categorical") return Math.max(...x.subarray(variable.start, variable.stop));
  const part = range === null || variable.kind === "binary" ? value : (value - range[0]) / (range[1] - range[0] || 1);
  return Math.min(1, Math.max(0, part));
}

function cell(variable, range, mayHide, edit) {
  const numeric = variable.kind !== "binary" && variable.kind !== "categorical";
  const id = unique("cell");
  const fault = h("p", { class: "form-fault", id: `${id}-fault`, role: "alert" });
  const control = numeric ? numberControl(id, variable, range, mayHide, fault, edit) : levelControl(id, variable, mayHide, edit);
  const bar = h("div", { class: "bar" });
  const value = h("span", { class: "value" });
  const element = h(
    "div",
    { class: "form-row" },
    h("label", { for: id, text: variable.name, title: variable.name }),
    h("div", { class: "form-control" }, control.elements, fault),
    h("div", { class: "form-model" }, h("div", { class: "track" }, bar), value),
  );
  return {
    element,
    show(x, { reconstruction, filled }) {
      const missing = Number.isNaN(cellOf(variable, x));
      control.show(x);
      element.classList.toggle("missing", missing);
      const numbers = missing && filled ? filled : reconstruction;
      if (!numbers) return;
      bar.style.width = `${100 * partOf(variable, range, numbers)}%`;
      value.textContent = `${meanWords(variable, numbers)}${missing && filled ? " (filled in)" : ""}`;
    },
  };
}

function levelControl(id, variable, mayHide, edit) {
  const levels = variable.levels ?? ["0", "1"];
  const options = levels.map((text, index) => h("option", { value: index, text }));
  if (mayHide) options.push(h("option", { value: "?", text: "not observed" }));
  const select = h("select", { id }, options);
  select.addEventListener("change", () => edit(variable, select.value === "?" ? NaN : Number(select.value)));
  return {
    elements: [select],
    show(x) {
      const value = cellOf(variable, x);
      select.value = Number.isNaN(value) ? "?" : String(Math.round(value));
    },
  };
}

function numberControl(id, variable, range, mayHide, fault, edit) {
  const limits = { unit: { min: 0, max: 1, step: 0.01 }, count: { min: 0, step: 1 }, real: { step: "any" } }[variable.kind];
  const input = h("input", { type: "number", id, inputmode: "decimal", placeholder: mayHide ? "not observed" : "", "aria-describedby": `${id}-range ${id}-fault`, ...limits, step: "any" });
  input.addEventListener("input", () => {
    const empty = input.value === "" && !input.validity.badInput;
    const why = empty ? (mayHide ? null : `${variable.name}: expected a number; this model needs every value`) : whyNot(variable, input.validity.badInput ? NaN : Number(input.value));
    fault.textContent = why ?? "";
    input.setAttribute("aria-invalid", String(why !== null));
    if (why === null) edit(variable, empty ? NaN : Number(input.value));
  });
  const seen = h("span", { id: `${id}-range`, class: "soft small", text: range ? `seen ${shortest(Number(range[0].toPrecision(4)))} to ${shortest(Number(range[1].toPrecision(4)))}` : "" });
  return {
    elements: [input, seen],
    show(x) {
      const value = cellOf(variable, x);
      const text = Number.isNaN(value) ? "" : shortest(value);
      const same = input.value !== "" && Math.fround(Number(input.value)) === Math.fround(value);
      if (document.activeElement === input && (same || fault.textContent)) return;
      if (!same) input.value = text;
      fault.textContent = "";
      input.setAttribute("aria-invalid", "false");
    },
  };
}

/** A search box and pages, for many variables. */
function pager(state, key, variables) {
  const id = unique("find");
  const search = h("input", { type: "search", id, placeholder: "part of a name", value: state.get(`${key}.find`, "") });
  const words = h("span", { class: "soft small", role: "status" });
  const go = (step) => state.set({ [`${key}.page`]: Math.max(0, state.get(`${key}.page`, 0) + step) });
  search.addEventListener("input", () => state.set({ [`${key}.find`]: search.value || null, [`${key}.page`]: 0 }));
  const [back, next] = [button("Previous", () => go(-1)), button("Next", () => go(1))];
  return {
    element: h("div", { class: "controls form-find" }, h("div", { class: "control" }, h("label", { for: id, text: "Find a variable" }), search), back, next, words),
    found() {
      const text = state.get(`${key}.find`, "").toLowerCase();
      const all = variables.flatMap((variable, index) => (variable.name.toLowerCase().includes(text) ? [index] : []));
      const page = placeIn(state, `${key}.page`, Math.max(0, Math.ceil(all.length / PAGE) - 1));
      const indices = all.slice(page * PAGE, (page + 1) * PAGE);
      words.textContent = all.length ? `${page * PAGE + 1} to ${page * PAGE + indices.length} of ${all.length} variables` : "no variable";
      back.disabled = page === 0;
      next.disabled = (page + 1) * PAGE >= all.length;
      return { indices, name: `${text}/${page}` };
    },
  };
}
