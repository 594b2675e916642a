// The codes that differ from a code in one bit, ordered by what the flip does.

import { choice } from "../ui/controls.js";
import { differenceLegend, differenceView, largest, signed } from "../ui/difference.js";
import { fill, h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { ownOf } from "../ui/numbers.js";

const SHOWN = 12;
const SORTS = {
  effect: { title: "largest change of p(x|z) first", score: (flip) => flip.effect },
  likely: { title: "highest log p(x, z) first", score: (flip) => flip.nats },
  unlikely: { title: "lowest log p(x, z) first", score: (flip) => -flip.nats },
};

/** Return the panel of the neighbours: `{ element, show(now, flips) }`; `flip` is called with the bit of the one that is chosen. */
export function neighboursPanel(subject, { state, theme }, flip) {
  const list = h("ul", { class: subject.data.image ? "neighbours" : "neighbours of-table" });
  const legend = differenceLegend("change of p(x|z)");
  const order = choice(state, "bits.neighbours", { label: "Order", options: Object.entries(SORTS).map(([name, { title }]) => [name, title]) });
  const element = h(
    "section",
    {},
    h("h2", { text: "Neighbours: codes that differ in one bit" }),
    h("div", { class: "controls" }, order, subject.data.image ? legend.element : null, explanation(subject)),
    h("p", { class: "soft small", text: `${subject.dim > SHOWN ? `The first ${SHOWN} of ${subject.dim} in this order. ` : ""}Below each picture: the bit and its new value, the mean size of the change of p(x|z), and the change of log p(x, z).` }),
    list,
  );
  const show = (now, found) => {
    const { score } = ownOf(SORTS, state.get("bits.neighbours", ""), "effect");
    const first = [...found].sort((a, b) => score(b) - score(a)).slice(0, SHOWN);
    const most = first.reduce((top, { difference }) => Math.max(top, largest(difference, 0.01)), 0.01);
    legend.show(most);
    fill(list, first.map((one) => h("li", {}, neighbour(subject, theme, now, one, most, flip))));
  };
  return { element, show };
}

function explanation(subject) {
  return explain(
    "the neighbours",
    `Each picture shows how p(x|z) changes if this one bit is flipped. The first number is the mean size of the change over the ${subject.whole}, the second the change of log p(x, z) in nats: above 0, the new code explains the row better. Choose one to flip its bit.`,
  );
}

function neighbour(subject, theme, now, { place, effect, nats, difference }, most, flip) {
  const name = subject.nameOf(place);
  const value = 1 - now.z[place];
  const view = differenceView({ data: subject.data, theme, label: `change of p(x|z) if ${name} becomes ${value}`, size: 72, columns: 3 });
  view.show(difference, { most });
  return h(
    "button",
    { type: "button", class: "neighbour", onclick: () => flip(place), "aria-label": `Flip ${name} to ${value}: p(x|z) changes by ${effect.toFixed(4)} on average, log p(x, z) by ${signed(nats, 1)} nats` },
    view.element,
    h("span", { class: "neighbour-name", text: `${name} \u2192 ${value}` }),
    h("span", { class: "soft", text: effect.toFixed(4) }),
    h("span", { class: "soft", text: `${signed(nats, 1)} nats` }),
  );
}
