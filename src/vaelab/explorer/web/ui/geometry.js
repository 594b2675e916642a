// Geometry of pictures in a plane: polygons, ellipses, contours, and round numbers for axes.

/** Return whether a place is inside a polygon [[x, y], ...], by the even-odd rule. */
export function insidePolygon(polygon, x, y) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
    const [xi, yi] = polygon[i];
    const [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Return a path with fewer corners: one that is nearer than `distance` to the corner before it is left out. */
export function thinnedPath(path, distance) {
  const kept = [];
  for (const [x, y] of path) {
    const last = kept[kept.length - 1];
    if (!last || Math.hypot(x - last[0], y - last[1]) >= distance) kept.push([x, y]);
  }
  return kept;
}

/** Return the eigenvalues and the angle of the first axis of a symmetric matrix [a, b, c] = [[a, b], [b, c]]. */
export function symmetricAxes([a, b, c]) {
  const middle = (a + c) / 2;
  const half = Math.hypot((a - c) / 2, b);
  return { large: middle + half, small: Math.max(0, middle - half), angle: half > 1e-5 * middle ? Math.atan2(2 * b, a - c) / 2 : 0 };
}

/** Return the inverse of a symmetric matrix [a, b, c] of size 2; where there is none, the pseudo-inverse. */
export function symmetricInverse([a, b, c]) {
  const trace = a + c;
  const determinant = a * c - b * b;
  if (trace === 0) return [0, 0, 0];
  if (determinant > 1e-9 * trace * trace) return [c / determinant, -b / determinant, a / determinant];
  return [a / (trace * trace), b / (trace * trace), c / (trace * trace)];
}

/** Return the corners of an ellipse: where a Gaussian of this mean and covariance [a, b, c] has so many standard deviations. */
export function ellipse([x, y], covariance, deviations, corners = 72) {
  const { large, small, angle } = symmetricAxes(covariance);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return Array.from({ length: corners }, (_, corner) => {
    const turn = (2 * Math.PI * corner) / corners;
    const along = deviations * Math.sqrt(large) * Math.cos(turn);
    const across = deviations * Math.sqrt(small) * Math.sin(turn);
    return [x + cos * along - sin * across, y + sin * along + cos * across];
  });
}

/** Return the density of a Gaussian in the plane, for covariance [a, b, c]; a flat one has a width of 1e-6 at least. */
export function gaussianDensity([mx, my], [a, b, c]) {
  const floor = 1e-12;
  const determinant = Math.max(floor, a * c - b * b);
  const scale = 1 / (2 * Math.PI * Math.sqrt(determinant));
  return (x, y) => {
    const dx = x - mx;
    const dy = y - my;
    return scale * Math.exp((-0.5 * (c * dx * dx - 2 * b * dx * dy + a * dy * dy)) / determinant);
  };
}

/** Return the heights above which a density holds these shares of its mass, from its heights at places that hold some mass each. */
export function heightsOfShares(heights, masses, shares) {
  const order = Array.from(heights.keys()).sort((a, b) => heights[b] - heights[a]);
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  return shares.map((share) => {
    let sum = 0;
    const place = order.find((each) => (sum += masses[each]) >= share * total);
    return heights[place ?? order[order.length - 1]];
  });
}

/** Return places that stand for a Gaussian of this mean and covariance [a, b, c]: each has the same share of its mass. */
export function placesOfGaussian([x, y], covariance, count) {
  const { large, small, angle } = symmetricAxes(covariance);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return Array.from({ length: count }, (_, place) => {
    const radius = Math.sqrt(-2 * Math.log(1 - (place + 0.5) / count));
    const turn = place * Math.PI * (3 - Math.sqrt(5)); // the golden angle spreads the places evenly
    const [along, across] = [radius * Math.sqrt(large) * Math.cos(turn), radius * Math.sqrt(small) * Math.sin(turn)];
    return [x + cos * along - sin * across, y + sin * along + cos * across];
  });
}

/** Return the lines at which a grid (rows x columns) has a height, as [[x0, y0, x1, y1], ...] in columns and rows: marching squares. */
export function contour(values, columns, rows, height) {
  const lines = [];
  for (let row = 0; row + 1 < rows; row += 1) {
    for (let column = 0; column + 1 < columns; column += 1) {
      const place = row * columns + column;
      const corners = [values[place], values[place + 1], values[place + columns + 1], values[place + columns]];
      for (const [from, to] of cellLines(corners, height)) {
        lines.push([column + from[0], row + from[1], column + to[0], row + to[1]]);
      }
    }
  }
  return lines;
}

const CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]];

function cellLines(corners, height) {
  const cuts = [];
  for (let edge = 0; edge < 4; edge += 1) {
    const next = (edge + 1) % 4;
    if (corners[edge] > height === corners[next] > height) continue;
    const part = (height - corners[edge]) / (corners[next] - corners[edge]);
    const [x, y] = CORNERS[edge];
    cuts.push([x + part * (CORNERS[next][0] - x), y + part * (CORNERS[next][1] - y)]);
  }
  if (cuts.length < 4) return cuts.length ? [cuts] : [];
  const middle = (corners[0] + corners[1] + corners[2] + corners[3]) / 4 > height;
  return middle === corners[0] > height ? [[cuts[0], cuts[1]], [cuts[2], cuts[3]]] : [[cuts[3], cuts[0]], [cuts[1], cuts[2]]];
}

/** Return a share in per cent, for people: whole numbers from 10 % on. */
export function percent(share) {
  return `${(100 * share).toFixed(share >= 0.0995 || share === 0 ? 0 : 1)} %`;
}

/** Return a number in few digits, for axes and readouts. */
export function shortNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replace("-", "−").replace("e+", "e");
  return String(Number(value.toPrecision(3))).replace("-", "−");
}
