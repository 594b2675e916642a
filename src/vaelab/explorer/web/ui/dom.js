// Elements of the page, made without HTML text: names and values of a user are never read as markup.

/** Return an element with attributes and children; `on...` adds a listener, `class`, `text` and `data-...` are as in HTML. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return an element of an SVG picture, with attributes and children; `text` is as in HTML. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, String(value));
  }
  element.append(...children.flat());
  return element;
}

/** Remove what an element holds, and put children in its place. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set the text of an element, if it is another one: what stays the same costs nothing in a frame. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Return an identifier that no other element has. */
export function unique(prefix) {
  unique.count = (unique.count ?? 0) + 1;
  return `${prefix}-${unique.count}`;
}
