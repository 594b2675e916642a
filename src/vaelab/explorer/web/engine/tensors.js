// The arrays of the page: base64 text -> one block of bytes -> typed arrays, decoded when they are first asked for.

const READERS = {
  int16: (bytes, count) => fromPlanes(bytes, count),
  float32: (bytes, count) => new Float32Array(bytes.buffer, bytes.byteOffset, count),
  int32: (bytes, count) => new Int32Array(bytes.buffer, bytes.byteOffset, count),
  uint8: (bytes) => bytes,
  bits: (bytes, count) => fromBits(bytes, count),
};

/** Promises the arrays of a page: a function from the number of an array to {data, shape}; bits become numbers 0, 1. */
export async function openTensors(index, text) {
  const block = await decompressed(fromBase64(text));
  const opened = new Map();
  const get = (number) => {
    if (!opened.has(number)) {
      const { dtype, shape, offset, bytes, scale } = index[number];
      const count = shape.reduce((product, size) => product * size, 1);
      const data = READERS[dtype](block.subarray(offset, offset + bytes), count);
      opened.set(number, { data: scale === null ? data : scaled(data, get(scale).data), shape });
    }
    return opened.get(number);
  };
  return get;
}

async function decompressed(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
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

/** Whole numbers k, written as 2 k, or as -2 k - 1 if negative: first the lower bytes of all, then the higher ones. */
function fromPlanes(bytes, count) {
  const numbers = new Int16Array(count);
  for (let i = 0; i < count; i += 1) {
    const k = bytes[i] + 256 * bytes[count + i];
    numbers[i] = k & 1 ? -(k + 1) / 2 : k / 2;
  }
  return numbers;
}

/** Whole numbers, a row of a matrix at a time multiplied by the factor of the row. */
function scaled(whole, factors) {
  const numbers = new Float32Array(whole.length);
  const width = whole.length / factors.length;
  for (let row = 0; row < factors.length; row += 1) {
    for (let i = row * width; i < (row + 1) * width; i += 1) {
      numbers[i] = whole[i] * factors[row];
    }
  }
  return numbers;
}
