// Small whole numbers as text for an address: runs of equal numbers, written in base64 for addresses.

/** Return bytes (0 ... 255) as text: each run is its byte and its length, seven bits a byte. */
export function packRuns(bytes) {
  const packed = [];
  for (let start = 0; start < bytes.length; ) {
    let stop = start;
    while (stop < bytes.length && bytes[stop] === bytes[start]) stop += 1;
    packed.push(bytes[start]);
    let left = stop - start;
    for (; left > 127; left >>>= 7) packed.push((left & 127) | 128);
    packed.push(left);
    start = stop;
  }
  return btoa(packed.map((byte) => String.fromCharCode(byte)).join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Return the bytes of a text of `packRuns`, `length` of them; null if the text is something else. */
export function unpackRuns(text, length) {
  const packed = lettersOf(text);
  if (packed === null) return null;
  const bytes = new Uint8Array(length);
  let place = 0;
  for (let next = 0; next < packed.length; ) {
    const value = packed[next];
    let run = 0;
    let shift = 0;
    do {
      next += 1;
      run += (packed[next] & 127) * 2 ** shift;
      shift += 7;
    } while (packed[next] & 128);
    next += 1;
    if (!(run > 0) || place + run > length) return null;
    bytes.fill(value, place, place + run);
    place += run;
  }
  return place === length ? bytes : null;
}

function lettersOf(text) {
  try {
    return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}
