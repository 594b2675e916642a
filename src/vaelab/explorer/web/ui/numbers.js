// Numbers as text: in the address of the page, and as people read them.

/** Return numbers as text for the address: "x" and hexadecimal digits if all are 0 or 1, else 4 digits each; nothing for NaN. */
export function numbersToText(values) {
  const numbers = [...values];
  if (numbers.every((value) => value === 0 || value === 1)) return `x${hexadecimal(numbers)}`;
  return numbers.map((value) => (Number.isNaN(value) ? "" : String(Number(value.toPrecision(4))))).join(",");
}

/** Return the numbers of such a text as a Float32Array, or null if it is not the text of `size` numbers. */
export function textToNumbers(text, size) {
  if (typeof text !== "string" || text === "") return null;
  if (/^x[0-9a-f]*$/.test(text)) return bitsOf(text.slice(1), size);
  const parts = text.split(",");
  const numbers = Float32Array.from(parts, (part) => (part === "" ? NaN : Number(part)));
  const fits = parts.length === size && parts.every((part, place) => part === "" || Number.isFinite(numbers[place]));
  return fits ? numbers : null;
}

function hexadecimal(bits) {
  let text = "";
  for (let place = 0; place < bits.length; place += 4) {
    let digit = 0;
    for (let bit = 0; bit < 4; bit += 1) digit = 2 * digit + (bits[place + bit] ?? 0);
    text += digit.toString(16);
  }
  return text;
}

function bitsOf(digits, size) {
  if (digits.length !== Math.ceil(size / 4)) return null;
  return Float32Array.from({ length: size }, (_, place) => (parseInt(digits[place >> 2], 16) >> (3 - (place & 3))) & 1);
}

/** Return a number with a true minus sign and, for large ones, thousands set apart: "−1,234.50". */
export function shownNumber(value, digits = 2) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
}

/** Return a number with as many digits as it needs, at most 4: for ticks of axes and columns of tables. */
export function briefNumber(value) {
  const text = Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(1) : Number(value.toPrecision(4)).toLocaleString("en");
  return text.replace("-", "−").replace("e-", "e−");
}

/** Return the whole number of the state that a key names, from 0 to `last`. */
export function placeIn(state, key, last, fallback = 0) {
  return Math.min(last, Math.max(0, Math.round(state.get(key, fallback))));
}

/** Return what an object has of its own under a name of the address, else under another name. */
export function ownOf(object, name, fallback) {
  return object[Object.hasOwn(object, name) ? name : fallback];
}

/** Return the round numbers from `low` to `high`, about `count` of them; none where they lie too near each other to be told apart. */
export function roundNumbers(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  if (!(last - first < 1000)) return [];
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}

/** Return the mean of some numbers, and its standard error (NaN of fewer than two). */
export function meanAndError(values) {
  const n = values.length;
  let total = 0;
  for (const value of values) total += value;
  const mean = total / n;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return { mean, error: n > 1 ? Math.sqrt(squares / (n - 1) / n) : NaN };
}
