// Functions of numbers that several files of the engine use.

/** 1 / (1 + e^-t), without overflow. */
export function sigmoid(t) {
  if (t >= 0) {
    return 1 / (1 + Math.exp(-t));
  }
  const e = Math.exp(t);
  return e / (1 + e);
}

/** log(1 + e^t), without overflow. */
export function softplus(t) {
  return Math.max(t, 0) + Math.log1p(Math.exp(-Math.abs(t)));
}

/** log(e^a + e^b), without overflow. */
export function logAddExp(a, b) {
  const largest = Math.max(a, b);
  return largest === -Infinity ? largest : largest + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** log sum_k exp(values[start + k * step]) over count values, without overflow. */
export function logSumExp(values, start = 0, count = values.length - start, step = 1) {
  let largest = -Infinity;
  for (let k = 0, i = start; k < count; k += 1, i += step) {
    largest = Math.max(largest, values[i]);
  }
  if (!Number.isFinite(largest)) {
    return largest;
  }
  let total = 0;
  for (let k = 0, i = start; k < count; k += 1, i += step) {
    total += Math.exp(values[i] - largest);
  }
  return largest + Math.log(total);
}

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** The logarithm of n! for a number n of at least 0, by the approximation of Lanczos (1964). */
export function logFactorial(n) {
  let total = 0.99999999999980993;
  for (let i = 0; i < LANCZOS.length; i += 1) {
    total += LANCZOS[i] / (n + i + 1);
  }
  const t = n + LANCZOS.length - 0.5;
  return 0.5 * Math.log(2 * Math.PI) + (n + 0.5) * Math.log(t) - t + Math.log(total);
}

/** Numbers of any kind of array as a Float32Array; one that is such an array stays as it is. */
export function asFloats(numbers) {
  return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
}

/** Rows (n, widths[0]), (n, widths[1]), ... side by side, as one array (n, sum of widths). */
export function sideBySide(parts, widths, n) {
  const total = widths.reduce((sum, width) => sum + width, 0);
  const rows = new Float32Array(n * total);
  let start = 0;
  parts.forEach((part, index) => {
    const width = widths[index];
    for (let r = 0; r < n; r += 1) {
      rows.set(part.subarray(r * width, (r + 1) * width), r * total + start);
    }
    start += width;
  });
  return rows;
}

/** The columns start ... stop - 1 of rows (n, width), as an array (n, stop - start). */
export function columnsOf(rows, n, width, start, stop) {
  const part = new Float32Array(n * (stop - start));
  for (let r = 0; r < n; r += 1) {
    part.set(rows.subarray(r * width + start, r * width + stop), r * (stop - start));
  }
  return part;
}
