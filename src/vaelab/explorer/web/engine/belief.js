// Layers of bits, one above the other: each given the one above, and each given those on both sides, by Gibbs sampling.
// Layer 0 is nearest to x. A code of one layer of bits is the case L = 1.
import { sigmoid } from "./numbers.js";

/**
 * The layers of a model of bits. `parts` are {sizes, top(n) -> p(y_L), below}: below[l] is {run, build} of what layer l
 * draws, {run, build}[0] that of x; `numbers` is how many numbers of the network a column has. `self` is the model.
 */
export function belief(self, parts) {
  const { sizes, top, below } = parts;
  const inputOf = (l, y, n, given) => (l === 0 ? self.withGiven(y, n, sizes[0], given) : y);
  /** The distribution of what layer l draws: of x for layer 0, else of the layer below. */
  const under = (l, y, n, given = null) => below[l].build(below[l].run(inputOf(l, y, n, given), n), n);
  /** p(y_l|y_l+1), of the top layer its prior. */
  const fromAbove = (l, layers, n) => (l === sizes.length - 1 ? top(n) : under(l + 1, layers[l + 1], n));

  /** Layer l with each bit drawn once, in order, given all other bits and x; what is NaN in x has no say. */
  const resample = (l, layers, x, n, rng, given = null) => {
    const rows = layers[l].slice();
    const logits = fromAbove(l, layers, n).params.logits;
    const child = l === 0 ? x : layers[l - 1];
    const width = child.length / n;
    for (let r = 0; r < n; r += 1) {
      const y = rows.subarray(r * sizes[l], (r + 1) * sizes[l]);
      const row = inputOf(l, y, 1, given && given.length > self.given
        ? given.subarray(r * self.given, (r + 1) * self.given) : given);
      const prior = logits.subarray(r * sizes[l], (r + 1) * sizes[l]);
      sweep(below[l], y, row, prior, child.subarray(r * width, (r + 1) * width), rng);
    }
    return rows;
  };

  return {
    sizes,
    fromAbove,
    under,
    resample,
    /** What a bit of layer l adds to each number below when it turns to 1, (D_l * width); null if not linear. */
    fields: (l) => (below[l].run.isLinear && below[l].numbers === 1 ? fieldsOf(below[l].run, sizes[l]) : null),
  };
}

/** The weights of the bits, without those of what is given. */
function fieldsOf({ opening: { weight, width } }, bits) {
  return { data: weight.subarray(0, bits * width), width };
}

/** Draw the bits y in place: the numbers of the layer's network are changed bit by bit, not computed anew. */
function sweep({ run, build }, y, row, prior, child, rng) {
  const { opening } = run;
  let numbers = opening ? run.before(row, 1) : null;
  const input = row.slice();
  const density = (values) => build(opening ? run.after(values.slice(), 1) : run(values, 1), 1).logProb(child)[0];
  let present = density(opening ? numbers : input);
  for (let j = 0; j < y.length; j += 1) {
    const step = 1 - 2 * y[j];
    let flipped;
    if (opening) {
      flipped = numbers.slice();
      for (let i = 0, w = j * opening.width; i < opening.width; i += 1, w += 1) {
        flipped[i] += step * opening.weight[w];
      }
    } else {
      flipped = input.slice();
      flipped[j] = 1 - y[j];
    }
    const other = density(flipped);
    if (rng.uniform() < sigmoid(other - present + step * prior[j])) {
      y[j] = 1 - y[j];
      input[j] = y[j];
      numbers = flipped;
      present = other;
    }
  }
}
