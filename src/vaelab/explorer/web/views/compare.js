// Compare: the runs of the page side by side, on the same row, with the same code, and with the same random numbers.

import { fill, h } from "../ui/dom.js";
import { sameCode } from "./compare_codes.js";
import { pairedDifference } from "./compare_difference.js";
import { sameInput } from "./compare_input.js";
import { sameSeed } from "./compare_samples.js";

export const compareView = {
  name: "compare",
  title: "Compare",
  about: "The runs of this page side by side: the same row through each of them, the difference of their bounds row by row, the same code, and samples from the same random numbers.",
  applies: (page) => (page.runs.length > 1 ? true : "There is one run in this page. Name two or more: vaelab explore RUN RUN."),
  mount(root, context) {
    const parts = [sameInput, pairedDifference, sameCode, sameSeed].map((part) => part(context));
    fill(root, h("div", { class: "compare" }, parts.map((part) => part.element)));
    let frame = 0;
    const show = (keys) => parts.forEach((part) => part.show(keys));
    show(null);
    return {
      update(keys) {
        cancelAnimationFrame(frame);
        frame = requestAnimationFrame(() => show(keys));
      },
      unmount: () => cancelAnimationFrame(frame),
    };
  },
};
