// The codes of a run's rows as the view of bits uses them; computed once for each run.

import { placeIn, shownNumber } from "../ui/numbers.js";
import { bitsOfRow, columnUnits } from "./bits-numbers.js";

const known = new WeakMap();

/** Return what the parts of the view share: sizes and names of the layers, the code of a row, what a row is given, units. */
export function subjectOf(run) {
  if (!known.has(run)) known.set(run, subject(run));
  return known.get(run);
}

function subject(run) {
  const { data, model } = run;
  const { dim } = model;
  const sizes = model.layers.length ? model.layers : [dim];
  const starts = sizes.map((_, layer) => sizes.slice(0, layer).reduce((sum, size) => sum + size, 0));
  return {
    data,
    model,
    dim,
    sizes,
    codes: run.codes,
    units: columnUnits(data),
    hasUnits: data.variables.some(({ kind }) => kind === "real" || kind === "count"),
    codeOf: (row) => bitsOfRow(run.codes, row, dim),
    givenOf: (row) => data.givenRows(1, row),
    /** The name of a bit; of several layers, with its layer, the one nearest to x first. */
    nameOf(place) {
      if (sizes.length === 1) return `bit ${place}`;
      const layer = starts.findLastIndex((start) => start <= place);
      return `layer ${layer + 1} bit ${place - starts[layer]}`;
    },
    /** The bits that p(x|z) reads: those of the layer nearest to x. */
    nearest: sizes[0],
    rowAt: (state, key, fallback = 0) => placeIn(state, key, data.count - 1, fallback),
    whole: data.image ? "pixels" : "columns",
  };
}

/** Return a number of nats in words. */
export function nats(value, digits = 1) {
  return `${shownNumber(value, digits)} nats`;
}
