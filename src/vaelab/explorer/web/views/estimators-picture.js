// The picture of one estimator: a cloud (how often each value came), rain (the latest values), mean and deviation, and
// the exact gradient as a line; beside it the variance on a logarithmic scale.

const BINS = 140;
const LATEST = 160;

/** Return what is kept of an estimator's estimates for its picture: counts on an axis, and the latest values. */
export function openCloud({ low, high }) {
  const counts = new Float64Array(BINS);
  const latest = [];
  let outside = 0;
  let drawn = 0;
  return {
    counts,
    latest,
    add(value) {
      const bin = Math.floor(((value - low) / (high - low)) * BINS);
      if (bin >= 0 && bin < BINS) counts[bin] += 1;
      else outside += 1;
      latest[drawn % LATEST] = { value, height: jitter(drawn) };
      drawn += 1;
    },
    get last() { return drawn ? latest[(drawn - 1) % LATEST] : null; },
    get outside() { return outside; },
  };
}

function jitter(index) {
  return (index * 0.618033988749895) % 1; // evenly spread, and the same in every browser
}

/** Return a surface for a canvas at the resolution of the screen, of the size that the canvas has on the page. */
export function openSurface(canvas) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const surface = canvas.getContext("2d");
  surface.setTransform(scale, 0, 0, scale, 0, 0);
  return { surface, width, height };
}

const PAD = 14;

/** Return the place of a value on an axis of some width. */
export function placeOn({ low, high }, width, value) {
  return PAD + ((value - low) / (high - low)) * (width - 2 * PAD);
}

/** Draw an estimator's cloud, rain, mean with one standard deviation, and the exact gradient. */
export function drawCloud({ surface, width, height }, { axis, cloud, tally, exact, colours, showLast }) {
  const ground = Math.round(height * 0.62);
  const place = (value) => placeOn(axis, width, value);
  surface.clearRect(0, 0, width, height);
  surface.fillStyle = colours.line;
  surface.fillRect(0, ground, width, 1);
  fillCloud(surface, cloud.counts, ground, place, axis, colours.of);
  const room = height - ground - 12;
  surface.fillStyle = colours.of;
  surface.globalAlpha = 0.55;
  surface.beginPath();
  for (const { value, height: down } of cloud.latest) {
    if (value >= axis.low && value <= axis.high) surface.rect(place(value) - 1.4, ground + 6 + down * room, 2.8, 2.8);
  }
  surface.fill();
  surface.globalAlpha = 1;
  line(surface, place(exact), 0, height, colours.exact);
  if (tally.count > 1) drawMean(surface, { tally, ground, place, axis, colours });
  if (showLast && cloud.last) ring(surface, place(clamp(cloud.last.value, axis)), ground + 7 + cloud.last.height * room, colours.ink);
}

function fillCloud(surface, counts, ground, place, { low, high }, colour) {
  const smooth = counts.map((count, bin) => (0.25 * (counts[bin - 1] ?? 0) + 0.5 * count + 0.25 * (counts[bin + 1] ?? 0)));
  const most = Math.max(...smooth);
  if (most === 0) return;
  const step = (high - low) / BINS;
  surface.beginPath();
  surface.moveTo(place(low), ground);
  smooth.forEach((count, bin) => surface.lineTo(place(low + (bin + 0.5) * step), ground - Math.sqrt(count / most) * (ground - 4)));
  surface.lineTo(place(high), ground);
  surface.fillStyle = colour;
  surface.globalAlpha = 0.3;
  surface.fill();
  surface.globalAlpha = 1;
}

function drawMean(surface, { tally, ground, place, axis, colours }) {
  const [from, to] = [tally.mean - tally.deviation, tally.mean + tally.deviation].map((value) => place(clamp(value, axis)));
  surface.fillStyle = colours.of;
  surface.fillRect(from, ground - 1, Math.max(1, to - from), 3);
  const middle = place(clamp(tally.mean, axis));
  surface.beginPath();
  surface.moveTo(middle, ground - 6);
  surface.lineTo(middle + 5, ground + 0.5);
  surface.lineTo(middle, ground + 7);
  surface.lineTo(middle - 5, ground + 0.5);
  surface.closePath();
  surface.fillStyle = colours.ink;
  surface.fill();
}

/** Draw the numbers of an axis, and lines up to its edge. */
export function drawAxis({ surface, width, height }, axis, colours, write = String) {
  surface.clearRect(0, 0, width, height);
  surface.fillStyle = colours.soft;
  surface.font = "12px system-ui, sans-serif";
  surface.textAlign = "center";
  surface.textBaseline = "top";
  let written = -Infinity; // a number that would touch the one before it is left out
  for (const tick of axis.ticks) {
    const place = placeOn(axis, width, tick);
    surface.fillRect(place, height - 5, 1, 5);
    const text = write(tick);
    const half = surface.measureText(text).width / 2;
    const middle = Math.min(width - half, Math.max(half, place));
    if (middle - half < written + 6) continue;
    surface.fillText(text, middle, height - 20);
    written = middle + half;
  }
}

/** Draw a variance on a logarithmic axis of powers of ten, with one standard error. */
export function drawVariance({ surface, width, height }, { axis, tally, colours }) {
  surface.clearRect(0, 0, width, height);
  for (const power of axis.lines) line(surface, placeOn(axis, width, power), 0, height, colours.line);
  if (!(tally.variance > 0)) return;
  const place = (value) => placeOn(axis, width, clamp(Math.log10(value), axis));
  const error = Number.isFinite(tally.varianceError) ? Math.min(0.95, tally.varianceError) : 0;
  const [from, to] = [place(tally.variance * (1 - error)), place(tally.variance * (1 + error))];
  surface.fillStyle = colours.of;
  surface.fillRect(from, height / 2 - 1, Math.max(1, to - from), 2);
  dot(surface, place(tally.variance), height / 2, 4.5);
}

function clamp(value, { low, high }) {
  return Math.min(high, Math.max(low, value));
}

function line(surface, place, from, to, colour) {
  surface.fillStyle = colour;
  surface.fillRect(Math.round(place) - 0.5, from, 1.5, to - from);
}

function dot(surface, x, y, radius) {
  surface.beginPath();
  surface.arc(x, y, radius, 0, 2 * Math.PI);
  surface.fill();
}

function ring(surface, x, y, colour) {
  surface.beginPath();
  surface.arc(x, y, 4, 0, 2 * Math.PI);
  surface.strokeStyle = colour;
  surface.lineWidth = 1.5;
  surface.stroke();
}
