// Controls with a label each. A control writes its value to the state, and shows the value that stands there.

import { h, unique } from "./dom.js";

/** Return an element that shows the state anew whenever it changes, while the element is in the page. */
export function following(state, element, show) {
  let seen = false;
  const stop = state.on(() => {
    if (seen && !element.isConnected) stop();
    else show();
    seen ||= element.isConnected;
  });
  return element;
}

/** Return a slider for a number of the state. */
export function slider(state, key, { label, min, max, step = 0.01, value, format = (number) => number.toFixed(2) }) {
  const id = unique("slider");
  const shown = h("output", { for: id, class: "value", text: format(state.get(key, value)) });
  const input = h("input", { type: "range", id, min, max, step, value: state.get(key, value) });
  input.addEventListener("input", () => {
    shown.textContent = format(Number(input.value));
    state.set({ [key]: Number(input.value) });
  });
  const element = h("div", { class: "control" }, h("label", { for: id, text: label }), input, shown);
  return following(state, element, () => {
    if (document.activeElement !== input) input.value = state.get(key, value);
    shown.textContent = format(state.get(key, value));
  });
}

/** Return a list of choices, [[value, text], ...], for a word of the state. */
export function choice(state, key, { label, options, value = options[0][0] }) {
  const id = unique("choice");
  const select = h("select", { id }, options.map(([name, text]) => h("option", { value: name, text })));
  const show = () => {
    select.value = state.get(key, value);
    if (select.selectedIndex < 0) select.value = value;
  };
  show();
  select.addEventListener("change", () => state.set({ [key]: select.value }));
  return following(state, h("div", { class: "control" }, h("label", { for: id, text: label }), select), show);
}

/** Return a checkbox for a yes or no of the state. */
export function toggle(state, key, { label, value = false }) {
  const id = unique("toggle");
  const input = h("input", { type: "checkbox", id });
  const show = () => {
    input.checked = state.get(key, value);
  };
  show();
  input.addEventListener("change", () => state.set({ [key]: input.checked }));
  return following(state, h("div", { class: "control" }, input, h("label", { for: id, text: label })), show);
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
  const element = h("div", { class: "control" }, h("label", { for: id, text: label }), input);
  return following(state, element, () => {
    input.value = state.get(key, value);
  });
}

/** Return a button. */
export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, text, ...attributes });
}
