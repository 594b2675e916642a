// Compare: the runs of the page side by side, on the same row, with the same code, and with the same random numbers.

import { fill, h } from "../ui/dom.js";
import { sameCode } from "./compare-codes.js";
import { pairedDifference } from "./compare-difference.js";
import { sameInput } from "./compare-input.js";
import { sameSeed } from "./compare-samples.js";

// The sections, and the keys of the address on which each depends; of conditional models the row decides what is given.
const PARTS = [
  [sameInput, ["compare.row"]],
  [pairedDifference, ["compare.row", "compare.a", "compare.b"]],
  [sameCode, ["compare.row", "compare.seed", "compare.axis", "compare.value", "compare.flip"]],
  [sameSeed, ["compare.row", "compare.seed", "compare.kind", "compare.pick"]],
];

export const compareView = {
  name: "compare",
  title: "Compare",
  about: "The runs of this page side by side: the same row through each of them, the difference of their bounds row by row, the same code, and samples from the same random numbers.",
  applies: (page) => (page.runs.length > 1 ? true : "There is one run in this page. Name two or more: vaelab explore RUN RUN."),
  mount(root, context) {
    const parts = PARTS.map(([part, keys]) => ({ keys, ...part(context) }));
    fill(root, h("div", { class: "compare" }, parts.map((part) => part.element)));
    let frame = 0;
    let changed = [];
    const show = (keys) => parts.filter((part) => keys === null || keys.some((key) => part.keys.includes(key))).forEach((part) => part.show());
    show(null);
    return {
      update(keys) {
        changed = keys === null || changed === null ? null : [...changed, ...keys];
        cancelAnimationFrame(frame);
        frame = requestAnimationFrame(() => {
          show(changed);
          changed = [];
        });
      },
      unmount: () => cancelAnimationFrame(frame),
    };
  },
};
