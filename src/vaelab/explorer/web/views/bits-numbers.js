// What the view of bits computes: flips of a code and their effects, paths, and the use of each bit.

import { textToNumbers } from "../ui/numbers.js";

const BATCH = 64; // codes that are decoded at once

/** Return the bits of a row of codes that are probabilities: 1 where it is above 1/2. */
export function bitsOfRow(codes, row, dim) {
  return codes.slice(row * dim, (row + 1) * dim).map((p) => (p > 0.5 ? 1 : 0));
}

/** Return the code that a text of the address names, or null if it is not one of `dim` bits. */
export function codeOfText(text, dim) {
  const code = textToNumbers(text, dim);
  return code !== null && code.every((bit) => bit === 0 || bit === 1) ? code : null;
}

/** Return the places in which two codes differ. */
export function differing(a, b) {
  const places = [];
  for (let place = 0; place < a.length; place += 1) if (a[place] !== b[place]) places.push(place);
  return places;
}

/** Return a code with one bit flipped. */
export function flipped(z, place) {
  const other = z.slice();
  other[place] = 1 - other[place];
  return other;
}

/** Return log p(x, z) = log p(z) + log p(x|z) of n codes of one observation, in nats. */
export function logJoint(model, x, z, n, given) {
  const prior = model.prior(n).logProb(z);
  return model.likelihood(z, n, given).logProb(x).map((value, row) => value + prior[row]);
}

/** Return the unit in which each column of x changes: 1 for probabilities, the standard deviation of numbers and counts. */
export function columnUnits(data) {
  const units = new Float32Array(data.size).fill(1);
  for (const { kind, start, stop } of data.variables) {
    if (kind !== "real" && kind !== "count") continue;
    for (let column = start; column < stop; column += 1) units[column] = deviation(data, column) || 1;
  }
  return units;
}

function deviation(data, column) {
  const values = [];
  for (let row = 0; row < data.count; row += 1) {
    const value = data.x[row * data.size + column];
    if (!Number.isNaN(value)) values.push(value);
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** Return (mean of p(x|z) after) - (before), in the units of the columns. */
export function change(before, after, units, start = 0) {
  return before.map((value, column) => (after[start + column] - value) / units[column]);
}

/** Return the mean of the sizes of some numbers. */
export function meanSize(numbers) {
  return numbers.reduce((sum, value) => sum + Math.abs(value), 0) / numbers.length;
}

/**
 * Yield for each place what its flip does to p(x|z) (`difference`, and `effect`, its mean size) and to log p(x, z) (`nats`).
 * p(x|z) reads the first `nearest` bits only.
 */
export function* flips({ model, z, x, given, units, places, nearest = z.length }) {
  const p = model.likelihood(z, 1, given);
  const base = { mean: p.mean(), likelihood: p.logProb(x)[0], prior: model.prior(1).logProb(z)[0] };
  const still = new Float32Array(units.length);
  for (const read of [true, false]) {
    const group = places.filter((place) => (place < nearest) === read);
    for (let start = 0; start < group.length; start += BATCH) {
      const some = group.slice(start, start + BATCH);
      const codes = new Float32Array(some.length * z.length);
      some.forEach((place, row) => codes.set(flipped(z, place), row * z.length));
      const prior = model.prior(some.length).logProb(codes);
      const after = read ? model.likelihood(codes, some.length, given) : null;
      const [means, likelihood] = read ? [after.mean(), after.logProb(x)] : [null, null];
      for (let row = 0; row < some.length; row += 1) {
        const difference = read ? change(base.mean, means, units, row * units.length) : still;
        const gain = read ? likelihood[row] - base.likelihood : 0;
        yield { place: some[row], effect: meanSize(difference), nats: prior[row] - base.prior + gain, difference };
      }
    }
  }
}

/** How the next flip of a path is chosen: the score of a flip, of which the highest is taken. */
export const ORDERS = {
  likely: (flip) => flip.nats,
  small: (flip) => -flip.effect,
  large: (flip) => flip.effect,
  index: (flip) => -flip.place,
};

/** Yield after each step the places of a shortest path from code a to code b so far; x is the row to which it leads. */
export function* pathFlips({ model, a, b, x, given, units, order, nearest = a.length }) {
  const left = new Set(differing(a, b));
  const path = [];
  let z = a;
  while (left.size) {
    let best = null;
    if (order === "index") best = { place: Math.min(...left) };
    else for (const flip of flips({ model, z, x, given, units, places: [...left], nearest })) {
      if (best === null || ORDERS[order](flip) > ORDERS[order](best)) best = flip;
    }
    left.delete(best.place);
    path.push(best.place);
    z = flipped(z, best.place);
    yield path;
  }
}

/** Return the code after the first `steps` flips of a path. */
export function alongPath(a, path, steps) {
  return path.slice(0, steps).reduce((z, place) => flipped(z, place), a);
}

/** Return the entropy of a bit that is 1 with probability p, in bits. */
export function entropy(p) {
  return p <= 0 || p >= 1 ? 0 : -(p * Math.log2(p) + (1 - p) * Math.log2(1 - p));
}

/** Return for each bit, over the rows: the mean of q, the share of codes in which it is 1 and its entropy, what q tells of the row, whether it changes. */
export function usage(codes, count, dim) {
  return Array.from({ length: dim }, (_, bit) => {
    let [mean, on, unsure] = [0, 0, 0];
    for (let row = 0; row < count; row += 1) {
      const q = codes[row * dim + bit];
      mean += q / count;
      unsure += entropy(q) / count;
      on += q > 0.5 ? 1 : 0;
    }
    const information = Math.max(0, entropy(mean) - unsure);
    return { bit, mean, share: on / count, entropy: entropy(on / count), information, changes: on > 0 && on < count };
  });
}

/** Return the correlations of the columns of bits (count, dim), a Float32Array (dim * dim); NaN where a bit never changes. */
export function correlations(bits, count, dim) {
  const words = packed(bits, count, dim);
  const length = Math.ceil(count / 32);
  const both = (i, j) => {
    let total = 0;
    for (let word = 0; word < length; word += 1) total += ones(words[i * length + word] & words[j * length + word]);
    return total / count;
  };
  const p = Float64Array.from({ length: dim }, (_, i) => both(i, i));
  const found = new Float32Array(dim * dim);
  for (let i = 0; i < dim; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      const spread = Math.sqrt(p[i] * (1 - p[i]) * p[j] * (1 - p[j]));
      const value = spread === 0 ? NaN : i === j ? 1 : (both(i, j) - p[i] * p[j]) / spread;
      found[i * dim + j] = value;
      found[j * dim + i] = value;
    }
  }
  return found;
}

function packed(bits, count, dim) {
  const length = Math.ceil(count / 32);
  const words = new Int32Array(dim * length);
  for (let row = 0; row < count; row += 1) {
    for (let bit = 0; bit < dim; bit += 1) {
      if (bits[row * dim + bit] > 0.5) words[bit * length + (row >> 5)] |= 1 << (row & 31);
    }
  }
  return words;
}

function ones(word) {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Return the pairs of bits with the strongest correlations, [{ a, b, value }, ...]. */
export function strongest(matrix, dim, most) {
  const pairs = [];
  for (let a = 0; a < dim; a += 1) {
    for (let b = a + 1; b < dim; b += 1) {
      const value = matrix[a * dim + b];
      if (!Number.isNaN(value)) pairs.push({ a, b, value });
    }
  }
  return pairs.sort((one, other) => Math.abs(other.value) - Math.abs(one.value)).slice(0, most);
}

/** Return the mean over the first rows of p(x|z with the bit 1) - p(x|z with the bit 0), in the units of the columns. */
export function meaningOf({ model, codes, rows, bit, givenOf, units }) {
  const { dim } = model;
  const total = new Float32Array(units.length);
  for (let row = 0; row < rows; row += 1) {
    const pair = new Float32Array(2 * dim);
    const z = bitsOfRow(codes, row, dim);
    for (const value of [0, 1]) {
      z[bit] = value;
      pair.set(z, value * dim);
    }
    const means = model.decode(pair, 2, givenOf(row));
    for (let column = 0; column < units.length; column += 1) {
      total[column] += (means[units.length + column] - means[column]) / units[column] / rows;
    }
  }
  return total;
}
