// What a conditional model is given: a class, levels of columns, or what stands in the rows of the page.

import { fill, h, unique } from "./dom.js";
import { numbersToText, textToNumbers } from "./numbers.js";

const MOST = 8; // more columns than these are not chosen one by one

/** Return a control for what a conditional model is given, or null for a model that is given nothing. */
export function givenControl(state, key, data) {
  if (data.given === null) return null;
  const variables = data.given_variables;
  if (variables.length === 1 && variables[0].levels) return levelOrRows(state, key, data, variables[0]);
  if (variables.length > MOST) return null;
  const chosen = h("span", { class: "control-group" });
  const select = selectOf([["rows", "as in the rows"], ["chosen", "chosen values"]], state.get(key, "rows") === "rows" ? "rows" : "chosen");
  const show = () => fill(chosen, select.value === "rows" ? [] : variables.map((variable) => valueControl(state, key, data, variable)));
  select.addEventListener("change", () => {
    state.set({ [key]: select.value === "rows" ? null : numbersToText(data.givenRows(1)) });
    show();
  });
  show();
  return h("div", { class: "control" }, labelled(select, `Given ${data.condition}`), chosen);
}

/** Return what the model is given for n observations, flat (n * Y): chosen values, or those of the page's rows; null if nothing. */
export function givenRows(state, key, data, n, first = 0) {
  if (data.given === null) return null;
  const chosen = textToNumbers(state.get(key, "rows"), data.given.length / data.count);
  if (chosen === null) return data.givenRows(n, first);
  const rows = new Float32Array(n * chosen.length);
  for (let row = 0; row < n; row += 1) rows.set(chosen, row * chosen.length);
  return rows;
}

/** Return in words what one observation is given, from its numbers (Y). */
export function givenWords(data, values) {
  return data.given_variables.map((variable) => `${variable.name} ${levelOf(variable, values)}`).join(", ");
}

function levelOrRows(state, key, data, variable) {
  const names = variable.levels.map((level, place) => [numbersToText(withLevel(new Float32Array(data.given.length / data.count), variable, place)), level]);
  const select = selectOf([["rows", "as in the rows"], ...names], state.get(key, "rows"));
  select.addEventListener("change", () => state.set({ [key]: select.value === "rows" ? null : select.value }));
  return h("div", { class: "control" }, labelled(select, `Given ${variable.name}`));
}

function valueControl(state, key, data, variable) {
  const now = () => textToNumbers(state.get(key, "rows"), data.given.length / data.count) ?? data.givenRows(1);
  const input = variable.levels
    ? selectOf(variable.levels.map((level, place) => [String(place), level]), String(placeOf(variable, now())))
    : h("input", { type: "number", id: unique("given"), min: 0, max: 1, step: variable.kind === "unit" ? 0.05 : 1, value: now()[variable.start] });
  input.addEventListener("change", () => {
    const values = now();
    if (variable.levels) withLevel(values, variable, Number(input.value));
    else values[variable.start] = Math.min(1, Math.max(0, Number(input.value) || 0));
    state.set({ [key]: numbersToText(values) });
  });
  return h("span", { class: "control" }, labelled(input, variable.name));
}

function selectOf(options, value) {
  const select = h("select", { id: unique("given") }, options.map(([name, text]) => h("option", { value: name, text })));
  select.value = value;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  return select;
}

function labelled(input, text) {
  return [h("label", { for: input.id, text }), input];
}

function placeOf(variable, values) {
  if (variable.kind === "binary") return values[variable.start] > 0.5 ? 1 : 0;
  let best = 0;
  for (let place = 1; place < variable.levels.length; place += 1) if (values[variable.start + place] > values[variable.start + best]) best = place;
  return best;
}

function withLevel(values, variable, place) {
  if (variable.kind === "binary") values[variable.start] = place;
  else for (let column = variable.start; column < variable.stop; column += 1) values[column] = column - variable.start === place ? 1 : 0;
  return values;
}

function levelOf(variable, values) {
  return variable.levels ? variable.levels[placeOf(variable, values)] : String(Number(values[variable.start].toPrecision(3)));
}
