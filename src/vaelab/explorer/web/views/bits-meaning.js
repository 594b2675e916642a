// What one bit does: the mean change of p(x|z) when it goes from 0 to 1, over rows of the data.

import { differenceLegend, differenceView, largest, largestChanges, signed } from "../ui/difference.js";
import { h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";
import { figure } from "../ui/parts.js";
import { entropy, meaningOf } from "./bits-numbers.js";

const ROWS = 100; // over which the effect of a bit is averaged, at most

/** Return the panel of one bit: `{ element, show(place), unmount() }`. */
export function meaningPanel(subject, { theme }) {
  const { data } = subject;
  const rows = Math.min(ROWS, data.count);
  const title = h("h2");
  const text = h("p", { class: "finding" });
  const view = differenceView({ data, theme, label: "mean effect of the bit on p(x|z)", size: 150, columns: 8 });
  const legend = differenceLegend();
  const element = h(
    "section",
    {},
    h("div", { class: "heading" }, title, explanation(rows)),
    h("div", { class: "beside" }, figure(`p(x|z, bit 1) \u2212 p(x|z, bit 0), mean of ${rows} rows`, view.element, data.image ? legend.element : null), text),
  );
  let [shown, waiting] = [-1, 0];
  const compute = (place) => {
    const effect = meaningOf({ ...subject, rows, bit: place });
    const most = largest(effect, 0.01);
    view.show(effect, { most });
    legend.show(most);
    text.textContent = wordsOf(subject, place, effect);
  };
  return {
    element,
    show(place) {
      if (place === shown) return;
      shown = place;
      title.textContent = `What ${subject.nameOf(place)} does`;
      clearTimeout(waiting); // arrow keys may pass many bits in a second
      waiting = setTimeout(() => compute(place), 60);
    },
    unmount: () => clearTimeout(waiting),
  };
}

function explanation(rows) {
  return explain(
    "what a bit does",
    `The mean of p(x|z) with the bit 1 minus p(x|z) with the bit 0, over the codes of ${rows} rows; their other bits stay as they are.`,
    formula("bit-effect"),
  );
}

function wordsOf(subject, place, effect) {
  const { codes, dim, data } = subject;
  let on = 0;
  for (let row = 0; row < data.count; row += 1) on += codes[row * dim + place] > 0.5 ? 1 / data.count : 0;
  const name = subject.nameOf(place);
  const use = on === 0 || on > 1 - 1e-9 ? `${name} is ${on === 0 ? 0 : 1} in the code of every row here: it tells nothing about them.` : `${name} is 1 in the codes of ${(100 * on).toFixed(1)} % of the ${data.count} rows; its entropy is ${entropy(on).toFixed(2)} of at most 1 bit.`;
  const above = place >= subject.nearest ? " p(x|z) does not read this layer, so the effect is 0; see the view Layers." : "";
  return `${use.charAt(0).toUpperCase()}${use.slice(1)}${above || ` ${effectWords(data, effect)}`}`;
}

function effectWords(data, effect) {
  const strongest = largest(effect, 0);
  if (strongest < 0.01) return "Turning it on changes nothing by 0.01 or more.";
  if (data.image) {
    const more = effect.filter((value) => value > strongest / 2).length;
    const less = effect.filter((value) => value < -strongest / 2).length;
    return `Turning it on changes a pixel by up to ${strongest.toFixed(2)} on average: ${more} pixels become likelier, ${less} less likely (by half of that or more).`;
  }
  const names = largestChanges(data, effect, 3).map(({ name, value, unit }) => `${name} ${signed(value)}${unit}`);
  return `Turning it on changes most: ${names.join(", ")}.`;
}
