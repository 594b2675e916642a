// Controls with a label each. A control writes its value to the state, and shows the value that stands there.

import { h, unique } from "./dom.js";

/** Return a slider for a number of the state. */
export function slider(state, key, { label, min, max, step = 0.01, value, format = (number) => number.toFixed(2) }) {
  const id = unique("slider");
  const shown = h("output", { for: id, class: "value", text: format(state.get(key, value)) });
  const input = h("input", { type: "range", id, min, max, step, value: state.get(key, value) });
  input.addEventListener("input", () => {
    shown.textContent = format(Number(input.value));
    state.set({ [key]: Number(input.value) });
  });
  return h("div", { class: "control" }, h("label", { for: id, text: label }), input, shown);
}

/** Return a list of choices, [[value, text], ...], for a word of the state. */
export function choice(state, key, { label, options, value = options[0][0] }) {
  const id = unique("choice");
  const select = h("select", { id }, options.map(([name, text]) => h("option", { value: name, text })));
  select.value = state.get(key, value);
  if (select.selectedIndex < 0) select.value = value;
  select.addEventListener("change", () => state.set({ [key]: select.value }));
  return h("div", { class: "control" }, h("label", { for: id, text: label }), select);
}

/** Return a checkbox for a yes or no of the state. */
export function toggle(state, key, { label, value = false }) {
  const id = unique("toggle");
  const input = h("input", { type: "checkbox", id });
  input.checked = state.get(key, value);
  input.addEventListener("change", () => state.set({ [key]: input.checked }));
  return h("div", { class: "control" }, input, h("label", { for: id, text: label }));
}

/** Return a field for a whole number of the state. */
export function numberField(state, key, { label, min = 0, max = 999999, value = 0 }) {
  const id = unique("number");
  const input = h("input", { type: "number", id, min, max, step: 1, value: state.get(key, value) });
  input.addEventListener("change", () => {
    const number = Math.min(max, Math.max(min, Math.round(Number(input.value) || 0)));
    input.value = number;
    state.set({ [key]: number });
  });
  return h("div", { class: "control" }, h("label", { for: id, text: label }), input);
}

/** Return a button. */
export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, text, ...attributes });
}
