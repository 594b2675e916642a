// Column means: how often each column of the rows is one.

import { fill, h } from "../ui/dom.js";

/** A view of the columns. */
export const columnMeansView = {
  name: "column-means",
  title: "Column means",
  about: "The mean of each column of the rows in this page.",
  applies: () => true,
  mount(root, { run }) {
    const { x, count, size } = run.data;
    const means = new Float64Array(size);
    x.forEach((value, place) => {
      means[place % size] += value / count;
    });
    fill(root, h("ol", {}, Array.from(means, (mean) => h("li", { text: mean.toFixed(3) }))));
    return { update() {}, unmount() {} };
  },
};
