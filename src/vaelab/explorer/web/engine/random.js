// A seeded generator of random numbers: xoshiro128** (Blackman & Vigna, 2021, https://doi.org/10.1145/3460772), whose
// state is made from the seed by SplitMix32. All steps are whole numbers or +, -, *, / and square roots, which IEEE 754
// defines to the last bit, so that every browser draws the same numbers.

/** A generator: uniform() in [0, 1), normal() of N(0, 1), normals(n), and fork(name), a generator of its own. */
export function random(seed) {
  const key = hash(0x9e3779b9, String(seed));
  const state = spread(key);
  let spare = null;

  const uniform = () => next(state) / 4294967296;

  const normal = () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    let u;
    let v;
    let s;
    do { // the polar method of Marsaglia
      u = 2 * uniform() - 1;
      v = 2 * uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s === 0);
    const factor = Math.sqrt((-2 * logarithm(s)) / s);
    spare = v * factor;
    return u * factor;
  };

  return {
    uniform,
    normal,
    normals: (n) => Float32Array.from({ length: n }, normal),
    fork: (name) => random(`${seed}/${name}`),
  };
}

function next(state) {
  const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 11);
  return result;
}

function rotate(x, bits) {
  return (x << bits) | (x >>> (32 - bits));
}

function hash(start, text) {
  let h = start | 0;
  for (let i = 0; i < text.length; i += 1) {
    h = mix(h ^ text.charCodeAt(i));
  }
  return h;
}

function spread(key) {
  const state = new Int32Array(4);
  let h = key;
  for (let i = 0; i < 4; i += 1) {
    h = (h + 0x9e3779b9) | 0;
    state[i] = mix(h);
  }
  return state;
}

function mix(x) {
  let h = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return h ^ (h >>> 15);
}

/** The natural logarithm of a positive number, in operations that every browser rounds alike. */
export function logarithm(x) {
  let exponent = 0;
  let m = x;
  while (m < Math.SQRT1_2) {
    m *= 2;
    exponent -= 1;
  }
  while (m > Math.SQRT2) {
    m /= 2;
    exponent += 1;
  }
  const s = (m - 1) / (m + 1); // log m = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| < 0.172
  const square = s * s;
  let total = 0;
  for (let n = 21; n >= 1; n -= 2) {
    total = total * square + 1 / n;
  }
  return 2 * s * total + exponent * Math.LN2;
}
