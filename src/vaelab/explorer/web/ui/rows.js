// Chooses a row of the data: by its number, the one before or after, one at random, or the next of a class.

import { button } from "./controls.js";
import { h, unique } from "./dom.js";

/** Return the choice of a row for a number of the state: `{ element, update() }`; `also` is what a choice sets besides. */
export function rowChoice(state, key, { data, label = "Row", value = 0, also = {} }) {
  const id = unique("row");
  const last = data.count - 1;
  const current = () => Math.min(last, Math.max(0, Math.round(state.get(key, value))));
  const go = (row) => state.set({ ...also, [key]: ((row % data.count) + data.count) % data.count });
  const input = h("input", { type: "number", id, min: 0, max: last, step: 1 });
  input.addEventListener("change", () => {
    go(Math.min(last, Math.max(0, Math.round(Number(input.value) || 0))));
    input.value = current();
  });
  const name = h("span", { class: "soft" });
  const element = h(
    "div",
    { class: "control row-choice", role: "group", "aria-label": label },
    h("label", { for: id, text: `${label} (0\u2013${last})` }),
    button("\u2039", () => go(current() - 1), { "aria-label": `${label}: previous`, title: "Previous row" }),
    input,
    button("\u203a", () => go(current() + 1), { "aria-label": `${label}: next`, title: "Next row" }),
    button("Random", () => go(Math.floor(Math.random() * data.count)), { "aria-label": `${label}: random` }),
    data.classes && data.labels ? nextOfClass(data, label, current, go) : null,
    name,
  );
  const update = () => {
    if (state.get(key, value) < 0) {
      [input.value, name.textContent] = ["", ""]; // none of the rows
      return;
    }
    if (Number(input.value) !== current() || input.value === "") input.value = current();
    name.textContent = classOf(data, current());
  };
  update();
  return { element, update };
}

/** Return the words for the class of a row; none if the data have no classes. */
export function classOf(data, row) {
  return data.classes && data.labels ? `class ${data.classes[data.labels[row]]}` : "";
}

function nextOfClass(data, label, current, go) {
  const options = [["", "Next of class \u2026"], ...data.classes.map((name, place) => [String(place), name])];
  const select = h("select", { "aria-label": `${label}: next of a class` }, options.map(([value, text]) => h("option", { value, text })));
  select.addEventListener("change", () => {
    const wanted = Number(select.value);
    for (let step = 1; select.value !== "" && step <= data.count; step += 1) {
      const row = (current() + step) % data.count;
      if (data.labels[row] === wanted) {
        go(row);
        break;
      }
    }
    select.value = "";
  });
  return select;
}
