// How the rows of the page use the bits: how often each is 1, its entropy, its effect, and which go together.

import { readCells } from "../ui/cells.js";
import { choice } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { ownOf, placeIn } from "../ui/numbers.js";
import { inSlices } from "../ui/work.js";
import { correlationPanel } from "./bits-correlation.js";
import { flips, usage } from "./bits-numbers.js";
import { subjectOf } from "./bits-subject.js";

const ROWS = 8; // over which the effect of each flip is averaged
const PAGE = 20; // bits of the table at once
const LEAST = 0.01; // bits of information, below which a bit counts as unused
const SORTS = {
  information: ["most informative first", (one, other) => other.information - one.information || one.bit - other.bit],
  entropy: ["highest entropy first", (one, other) => other.entropy - one.entropy || one.bit - other.bit],
  share: ["most often 1 first", (one, other) => other.share - one.share || one.bit - other.bit],
  effect: ["largest effect first", (one, other) => (other.effect ?? 0) - (one.effect ?? 0) || one.bit - other.bit],
  index: ["by number", (one, other) => one.bit - other.bit],
};

export const usePart = {
  name: "use",
  title: "All rows",
  mount(root, context) {
    const { state } = context;
    const subject = subjectOf(context.run);
    subject.usage ??= usage(subject.codes, subject.data.count, subject.dim);
    const table = tableOf(subject, context);
    const strip = stripOf(subject, context);
    const correlation = correlationPanel(subject, context);
    fill(
      root,
      h("p", { class: "finding", text: useWords(subject) }),
      h("section", {}, h("div", { class: "heading" }, h("h2", { text: "Use of each bit" }), explanation(subject)), sortControl(state), strip.element, table.element),
      correlation.element,
    );
    const update = (changed) => {
      const order = ordered(subject, state);
      table.show(order);
      strip.show(order);
      if (changed === null || !changed.every((key) => ["bits.sort", "bits.from", "bits.bit"].includes(key))) correlation.show();
      else correlation.select();
    };
    update(null);
    const stop = subject.usage[0].effect === undefined ? findEffects(subject, () => update(["bits.sort"])) : () => {};
    return { update, unmount: stop };
  },
};

function sortControl(state) {
  return h("div", { class: "controls" }, choice(state, "bits.sort", { label: "Order of the bits", options: Object.entries(SORTS).map(([name, [title]]) => [name, title]) }));
}

function ordered(subject, state) {
  const [, compare] = ownOf(SORTS, state.get("bits.sort", ""), "information");
  return [...subject.usage].sort(compare);
}

function explanation({ data }) {
  return explain(
    "the use of a bit",
    `Counted over the ${data.count} rows of the page; the code of a row has for each bit the more probable value in q(z|x).`,
    "Entropy of the bit in the codes: 1 bit if it is 1 in half of the rows, 0 if it never changes.",
    "Information: what the bit, drawn from q, tells about which row it came from: the entropy of the mean of q minus the mean entropy of q. A bit of which q is never sure has high entropy and no information.",
    `Effect: the mean size of the change of p(x|z) when the bit is flipped, over ${Math.min(ROWS, data.count)} rows.`,
  );
}

function useWords(subject) {
  const { usage: bits, dim, data, nameOf } = subject;
  if (data.count < 2) return "The page holds one row, so that no bit can change. Write it with more rows: --rows.";
  const still = bits.filter(({ changes }) => !changes);
  const unused = bits.filter(({ information }) => information < LEAST);
  const total = bits.reduce((sum, { information }) => sum + information, 0);
  const most = bits.reduce((best, bit) => (bit.information > best.information ? bit : best));
  const never = still.length === 0 ? `Every one of the ${dim} bits changes on these ${data.count} rows.` : `${still.length} of ${dim} bits never change on these ${data.count} rows${listed(still, nameOf)}.`;
  const idle = unused.length === 0 ? `Each tells ${LEAST} bits or more about the row.` : `${unused.length} tell less than ${LEAST} bits about the row${listed(unused, nameOf)}: q draws them as if there were no row.`;
  const largest = `The most informative is ${nameOf(most.bit)}, with ${most.information.toFixed(2)} bits; all together, each taken by itself, tell ${total.toFixed(1)} bits (${(total * Math.LN2).toFixed(1)} nats).`;
  const advice = unused.length === dim ? " The codes tell nothing about these rows. Train longer, with a larger learning rate, or with objective.warm_up." : unused.length > dim / 2 ? " A smaller code may describe these rows as well: train one and compare the bounds." : "";
  return `${never} ${idle} ${largest}${advice}`;
}

function listed(bits, nameOf) {
  return bits.length > 8 ? "" : `: ${bits.map(({ bit }) => nameOf(bit)).join(", ")}`;
}

/** All bits as a strip: a bar for each, as high as its information, before a pale one for its entropy; the chosen one is marked. */
function stripOf(subject, { state, theme }) {
  const [width, height] = [Math.max(subject.dim, 40), 60];
  const canvas = h("canvas", { class: "strip", height, width, role: "img", "aria-label": "Information and entropy of each bit, in the order of the table" });
  const shown = h("p", { class: "soft", role: "status", text: "Point at a bar to read it, or reach it with the arrow keys." });
  const cell = width / subject.dim;
  let order = [];
  readCells(canvas, {
    columns: subject.dim,
    rows: 1,
    read: (place) => { shown.textContent = bitWords(subject, order[place]); },
    choose: (place) => state.set({ "bits.bit": order[place].bit }),
  });
  const show = (bits) => {
    order = bits;
    const surface = canvas.getContext("2d");
    const ratio = Math.max(1, Math.round(720 / width));
    canvas.width = width * ratio;
    canvas.height = height * 2;
    surface.scale(ratio, 2);
    bits.forEach((bit, place) => {
      surface.fillStyle = bit.bit === state.get("bits.bit", 0) ? theme.colour("accent-2") : theme.colour("accent");
      const bar = (part, shade) => {
        surface.globalAlpha = shade;
        surface.fillRect(place * cell, height - part * (height - 1), cell * 0.8, part * (height - 1));
      };
      bar(bit.entropy, 0.25);
      bar(bit.information, 1);
    });
  };
  return { element: h("figure", {}, h("figcaption", { text: "Information of each bit; pale: its entropy (full height: 1 bit)" }), canvas, shown), show };
}

function bitWords(subject, { bit, share, mean, entropy, information, effect }) {
  const more = effect === undefined ? "" : `, effect of a flip ${effect.toFixed(4)}`;
  return `${subject.nameOf(bit)}: 1 in ${(100 * share).toFixed(1)} % of the rows, mean of q ${mean.toFixed(3)}, entropy ${entropy.toFixed(3)} bits, information ${information.toFixed(3)} bits${more}`;
}

function tableOf(subject, { state }) {
  const body = h("tbody");
  const range = h("span", { class: "soft" });
  const last = Math.max(0, Math.ceil(subject.dim / PAGE) - 1);
  const page = () => placeIn(state, "bits.from", last);
  const go = (step) => () => state.set({ "bits.from": Math.min(last, Math.max(0, page() + step)) });
  const [back, on] = [h("button", { type: "button", onclick: go(-1), text: "\u2039 Before" }), h("button", { type: "button", onclick: go(1), text: "Next \u203a" })];
  const heads = ["Bit", "Is 1 in", "Mean of q", "Entropy (bits)", "Infor\u00admation (bits)", "Effect of a flip"];
  const table = h("table", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col", text })))), body);
  const show = (bits) => {
    const first = page() * PAGE;
    const some = bits.slice(first, first + PAGE);
    range.textContent = `${first + 1}\u2013${first + some.length} of ${bits.length}`;
    back.disabled = page() === 0;
    on.disabled = page() === last;
    fill(body, some.map((bit) => rowOf(subject, state, bit)));
  };
  const pager = subject.dim > PAGE ? h("div", { class: "controls" }, back, range, on) : null;
  return { element: h("div", {}, h("div", { class: "scroll use", tabindex: "0", role: "region", "aria-label": "Use of each bit" }, table), pager), show };
}

function rowOf(subject, state, { bit, share, mean, entropy, information, effect, changes }) {
  const open = h("button", { type: "button", class: "link", text: subject.nameOf(bit), title: "Show what this bit does", onclick: () => state.set({ "bits.part": "code", "bits.bit": bit }) });
  const bar = h("span", { class: "meter" }, h("span"));
  bar.firstChild.style.width = `${100 * information}%`;
  return h(
    "tr",
    { class: changes ? "" : "still" },
    h("th", { scope: "row" }, open),
    h("td", { text: `${(100 * share).toFixed(1)}\u00a0%` }),
    h("td", { text: mean.toFixed(2) }),
    h("td", { text: entropy.toFixed(2) }),
    h("td", {}, bar, h("span", { text: information.toFixed(2) })),
    h("td", { text: effect === undefined ? "\u2026" : effect.toFixed(4) }),
  );
}

function* allEffects(subject) {
  const { data, dim } = subject;
  const rows = Math.min(ROWS, data.count);
  const places = Array.from({ length: dim }, (_, place) => place);
  const totals = new Float64Array(dim);
  for (let row = 0; row < rows; row += 1) {
    for (const flip of flips({ ...subject, z: subject.codeOf(row), x: data.row(row), given: subject.givenOf(row), places })) {
      totals[flip.place] += flip.effect / rows;
      yield totals;
    }
  }
}

function findEffects(subject, done) {
  let totals = null;
  return inSlices(allEffects(subject), {
    each: (found) => { totals = found; },
    done: () => {
      subject.usage.forEach((bit) => { bit.effect = totals[bit.bit]; });
      done();
    },
  });
}
