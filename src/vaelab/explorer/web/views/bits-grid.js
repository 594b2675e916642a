// The switches of a code: one button for each bit; arrow keys move between them, Space and Enter flip.

import { fill, h } from "../ui/dom.js";

const SPACE = 27; // pixels from one switch to the next

/** Return the switches of bits in groups: `{ element, show({ z, before, selected, effects }), unmount() }`. */
export function switchGrid({ sizes, titles, nameOf, onFlip, onSelect }) {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const shown = { columns: 0 };
  const switches = Array.from({ length: total }, (_, place) =>
    h("button", { type: "button", class: "switch", "aria-pressed": "false", "aria-label": nameOf(place), tabindex: "-1", onclick: () => onFlip(place) }));
  const boxes = sizes.map((_, group) => h("div", { class: "switch-rows", role: "group", "aria-label": titles[group] }));
  const element = h("div", { class: "switches" }, boxes.map((box, group) => [sizes.length > 1 ? h("h2", { text: titles[group] }) : null, box]).flat());
  const arrange = () => {
    const columns = columnsFor(element.clientWidth, Math.max(...sizes));
    if (columns === shown.columns) return;
    shown.columns = columns;
    const focused = document.activeElement;
    let start = 0;
    sizes.forEach((size, group) => {
      fillRows(boxes[group], switches.slice(start, start + size), columns);
      start += size;
    });
    if (switches.includes(focused)) focused.focus();
  };
  const observer = new ResizeObserver(arrange);
  observer.observe(element);
  const focus = (place) => {
    onSelect(place);
    switches[place].focus();
  };
  element.addEventListener("keydown", (event) => {
    const place = switches.indexOf(event.target);
    const target = place < 0 ? null : moved(event.key, place, total, shown.columns);
    if (target === null) return;
    event.preventDefault();
    focus(target);
  });
  return {
    element,
    show: (content) => showSwitches(switches, nameOf, content),
    unmount: () => observer.disconnect(),
  };
}

function columnsFor(width, most) {
  const fit = Math.floor((width - 28) / SPACE);
  const columns = [20, 10, 5].find((count) => count <= fit) ?? 5;
  return Math.min(most, columns);
}

function fillRows(box, switches, columns) {
  const rows = [];
  for (let start = 0; start < switches.length; start += columns) {
    rows.push(h("span", { class: "switch-number", "aria-hidden": "true", text: start }), ...switches.slice(start, start + columns));
  }
  box.style.gridTemplateColumns = `1.75rem repeat(${columns}, 1.5rem)`;
  fill(box, rows);
}

function moved(key, place, total, columns) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  if (key === "Home") return 0;
  if (key === "End") return total - 1;
  if (!(key in steps)) return null;
  return Math.min(total - 1, Math.max(0, place + steps[key]));
}

function showSwitches(switches, nameOf, { z, before, selected, effects = null, probabilities }) {
  const most = effects ? effects.reduce((a, b) => Math.max(a, b), 1e-12) : 1;
  switches.forEach((button, place) => {
    const changed = z[place] !== before[place];
    button.setAttribute("aria-pressed", String(z[place] === 1));
    button.setAttribute("aria-label", changed ? `${nameOf(place)}, flipped` : nameOf(place));
    button.classList.toggle("changed", changed);
    button.classList.toggle("selected", place === selected);
    button.tabIndex = place === selected ? 0 : -1;
    button.title = `${nameOf(place)} is ${z[place]}; q(1|x) = ${probabilities[place].toFixed(3)}`;
    button.style.setProperty("--effect", effects ? Math.sqrt(effects[place] / most) : 0);
  });
}
