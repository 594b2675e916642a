// The parts of a view: buttons side by side, one of which is pressed, and the part that it shows.

import { button } from "./controls.js";
import { fill, h } from "./dom.js";

/** Show one of `parts`, [{ name, title, mount(root, context) -> { update, unmount } }, ...], that the state names; returns the view. */
export function viewOfParts(root, context, key, parts) {
  const { state } = context;
  const body = h("div", { class: "part" });
  const buttons = parts.map(({ name, title }) => button(title, () => state.set({ [key]: name }), { "aria-pressed": "false" }));
  fill(root, h("div", { class: "part-choice", role: "group", "aria-label": "Part of the view" }, buttons), body);
  let shown = null;
  const current = () => parts.find(({ name }) => name === state.get(key)) ?? parts[0];
  const show = () => {
    if (shown) shown.unmount();
    buttons.forEach((each, place) => each.setAttribute("aria-pressed", String(parts[place] === current())));
    fill(body);
    shown = current().mount(body, context);
  };
  show();
  return {
    update(changed) {
      if (changed === null || changed.includes(key)) show();
      else shown.update(changed);
    },
    unmount: () => shown.unmount(),
  };
}

/** Return names and numbers as a list: `{ element, show([[name, text], ...]) }`. */
export function numbersList() {
  const element = h("dl", { class: "numbers" });
  return { element, show: (pairs) => fill(element, pairs.map(([name, text]) => h("div", {}, h("dt", { text: name }), h("dd", { text })))) };
}

/** Return a figure with a title above what it shows. */
export function figure(title, ...content) {
  return h("figure", {}, h("figcaption", { text: title }), ...content);
}
