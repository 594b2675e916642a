// Explanations a click away, and the formulae that were typeset when the page was written.

import { h } from "./dom.js";

/** Return a formula of the page by its name, as MathML. */
export function formula(name) {
  const template = document.getElementById(`formula-${name}`);
  return template.content.cloneNode(true);
}

/** Return a "?" that opens a text; the text may hold elements and formulae. */
export function explain(title, ...text) {
  const body = text.map((part) => (typeof part === "string" ? h("p", { text: part }) : part));
  const shown = h("div", { class: "explanation" }, body);
  const element = h("details", { class: "explain" }, h("summary", { "aria-label": `Explain: ${title}`, text: "?" }), shown);
  element.addEventListener("toggle", () => element.open && intoView(shown));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !element.open) return;
    element.open = false;
    element.querySelector("summary").focus();
  });
  return element;
}

addEventListener("pointerdown", (event) => {
  for (const open of document.querySelectorAll(".explain[open]")) if (!open.contains(event.target)) open.open = false;
});

/** Move a text that would leave the window at its right or left edge. */
function intoView(shown) {
  shown.style.left = "0px";
  const { left, right } = shown.getBoundingClientRect();
  const edge = document.documentElement.clientWidth - 8;
  shown.style.left = `${Math.max(8 - left, Math.min(0, edge - right))}px`;
}
