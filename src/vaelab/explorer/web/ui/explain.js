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
  return h("details", { class: "explain" }, h("summary", { "aria-label": `Explain: ${title}`, text: "?" }), h("div", { class: "explanation" }, body));
}
