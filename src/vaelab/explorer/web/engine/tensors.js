// The arrays of the page: base64 text -> one block of bytes -> typed arrays, decoded when they are first asked for.

const READERS = {
  float16: (bytes, count) => fromHalves(new Uint16Array(bytes.buffer, bytes.byteOffset, count)),
  float32: (bytes, count) => new Float32Array(bytes.buffer, bytes.byteOffset, count),
  int32: (bytes, count) => new Int32Array(bytes.buffer, bytes.byteOffset, count),
  uint8: (bytes) => bytes,
  bits: (bytes, count) => fromBits(bytes, count),
};

/** The arrays of a page: a function from the number of an array to {data, shape}; bits become numbers 0 and 1. */
export function openTensors(index, base64) {
  const block = fromBase64(base64);
  const opened = new Map();
  return (number) => {
    if (!opened.has(number)) {
      const { dtype, shape, offset, bytes } = index[number];
      const count = shape.reduce((product, size) => product * size, 1);
      opened.set(number, { data: READERS[dtype](block.subarray(offset, offset + bytes), count), shape });
    }
    return opened.get(number);
  };
}

function fromBase64(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) {
    bytes[i] = letters.charCodeAt(i);
  }
  return bytes;
}

function fromBits(bytes, count) {
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i += 1) {
    numbers[i] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
  }
  return numbers;
}

function fromHalves(halves) {
  const values = tableOfHalves();
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i += 1) {
    numbers[i] = values[halves[i]];
  }
  return numbers;
}

let table = null;

/** The numbers of all 65 536 patterns of 16 bits. */
function tableOfHalves() {
  table ??= Float32Array.from({ length: 65536 }, (_, half) => halfToNumber(half));
  return table;
}

/** The number whose 16 bits in IEEE 754 half precision are given. */
export function halfToNumber(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) {
    return fraction ? NaN : sign * Infinity;
  }
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}
