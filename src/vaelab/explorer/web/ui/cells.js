// A canvas of cells in columns and rows, one of which is read at the pointer or, with the arrow keys, at the keyboard.

/** Make the cells of a canvas readable: `read(cell)` is called with the number of a cell, row by row; `choose(cell)` at a click or Enter. */
export function readCells(canvas, { columns, rows, count = columns * rows, read, choose = null }) {
  let current = 0;
  const go = (cell) => {
    current = Math.min(count - 1, Math.max(0, cell));
    read(current);
  };
  const at = (event) => {
    const place = (offset, size, cells) => Math.min(cells - 1, Math.max(0, Math.floor((offset / size) * cells)));
    return place(event.offsetY, canvas.clientHeight, rows) * columns + place(event.offsetX, canvas.clientWidth, columns);
  };
  canvas.tabIndex = 0;
  canvas.addEventListener("pointermove", (event) => at(event) < count && go(at(event)));
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && read(current));
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -current, End: count - 1 - current };
    if (event.key === "Enter" && choose) choose(current);
    if (!(event.key in steps)) return;
    event.preventDefault();
    go(current + steps[event.key]);
  });
  if (choose) canvas.addEventListener("click", (event) => choose(at(event)));
}
