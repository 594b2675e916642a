// Marks of points: ten shapes, so that classes can be distinguished without their colours. Each mark is drawn once, then copied.

/** The number of different shapes. */
export const SHAPES = 10;

/** Return the shape of a class: with ten colours, no two of the first hundred classes have both the same. */
export function shapeOf(index) {
  return (index + Math.floor(index / SHAPES) * 3) % SHAPES;
}

const POLYGONS = [
  null,
  [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]],
  [[0, -1.1], [1.05, 0.8], [-1.05, 0.8]],
  [[0, -1.2], [0.95, 0], [0, 1.2], [-0.95, 0]],
  [[0, 1.1], [1.05, -0.8], [-1.05, -0.8]],
  cross(0),
  cross(Math.PI / 4),
  star(),
  [[-1.2, -0.55], [1.2, -0.55], [1.2, 0.55], [-1.2, 0.55]],
  [[-0.55, -1.2], [0.55, -1.2], [0.55, 1.2], [-0.55, 1.2]],
];

function cross(turn) {
  const [arm, half] = [1.2, 0.38];
  const corners = [];
  for (let quarter = 0; quarter < 4; quarter += 1) {
    const angle = turn + (quarter * Math.PI) / 2;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    for (const [x, y] of [[arm, -half], [arm, half], [half, half]]) corners.push([x * cos - y * sin, x * sin + y * cos]);
  }
  return corners;
}

function star() {
  return Array.from({ length: 10 }, (_, corner) => {
    const radius = corner % 2 ? 0.55 : 1.3;
    const angle = (corner * Math.PI) / 5 - Math.PI / 2;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}

/** Draw a mark of a shape around a place; `edge` is the colour of a thin line around it, "hollow" a mark without filling. */
export function drawMark(surface, { x, y, radius, shape, colour, edge, hollow = false }) {
  surface.beginPath();
  const corners = POLYGONS[shape % SHAPES];
  if (corners) corners.forEach(([dx, dy]) => surface.lineTo(x + radius * dx, y + radius * dy));
  else surface.arc(x, y, radius, 0, 2 * Math.PI);
  surface.closePath();
  surface.lineWidth = hollow ? radius / 2.5 : radius / 3;
  surface.strokeStyle = hollow ? colour : edge;
  surface.stroke();
  if (hollow) return;
  surface.fillStyle = colour;
  surface.fill();
}

/** Return a function that copies marks onto a surface: `(surface, x, y, shape, colour, hollow)`, in pixels of the device. */
export function openMarks(radius, edge) {
  const drawn = new Map();
  const half = Math.ceil(radius * 2);
  const make = (shape, colour, hollow) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 2 * half;
    drawMark(canvas.getContext("2d"), { x: half, y: half, radius, shape, colour, edge, hollow });
    return canvas;
  };
  return (surface, x, y, shape, colour, hollow = false) => {
    const key = `${shape} ${colour} ${hollow}`;
    if (!drawn.has(key)) drawn.set(key, make(shape, colour, hollow));
    surface.drawImage(drawn.get(key), Math.round(x) - half, Math.round(y) - half);
  };
}
