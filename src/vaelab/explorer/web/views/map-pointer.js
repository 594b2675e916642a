// Hands on the map: mouse, fingers and keys become moves of the cursor, pins, selections, and moves of the camera.

const SLOP = 5; // pixels that a press may move and still be a click

/**
 * Listen to the canvas of a stage, and return what stops listening.
 *
 * `act` has: `cursor(x, y)`, `pin(x, y)`, `pan(dx, dy)` and `zoom(factor, x, y)` in pixels of the canvas, `lasso(path, done)`
 * with a path of pixels, `key(event)`, and `selects()`, whether a drag draws a lasso.
 */
export function listen(canvas, act) {
  const hands = { canvas, act, fingers: new Map(), press: null, waiting: null };
  const on = {
    pointerdown: (event) => down(hands, event),
    pointermove: (event) => move(hands, event),
    pointerup: (event) => up(hands, event),
    pointercancel: (event) => up(hands, event),
    wheel: (event) => wheel(hands, event),
    keydown: (event) => act.key(event),
  };
  for (const [name, listener] of Object.entries(on)) canvas.addEventListener(name, listener, { passive: false });
  return () => {
    cancelAnimationFrame(hands.waiting);
    for (const [name, listener] of Object.entries(on)) canvas.removeEventListener(name, listener);
  };
}

function placeOf(hands, event) {
  const box = hands.canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

/** Do something once before the next frame is drawn: of many moves in a frame the last counts. */
function soon(hands, work) {
  hands.work = work;
  hands.waiting ??= requestAnimationFrame(() => {
    hands.waiting = null;
    hands.work();
  });
}

function now(hands) {
  if (hands.waiting === null) return;
  cancelAnimationFrame(hands.waiting);
  hands.waiting = null;
  hands.work();
}

function down(hands, event) {
  if (event.button !== 0) return;
  hands.canvas.focus({ preventScroll: true });
  hands.canvas.setPointerCapture(event.pointerId);
  const place = placeOf(hands, event);
  hands.fingers.set(event.pointerId, place);
  const isTouch = event.pointerType !== "mouse";
  const kind = hands.act.selects() || event.shiftKey ? "lasso" : isTouch ? "cursor" : "pan";
  hands.press = { start: place, last: place, moved: false, kind, path: [place] };
  if (kind === "cursor") hands.act.cursor(...place);
  event.preventDefault();
}

function move(hands, event) {
  const place = placeOf(hands, event);
  if (hands.fingers.size === 2 && hands.fingers.has(event.pointerId)) {
    pinch(hands, event.pointerId, place);
    return;
  }
  const press = hands.press;
  if (!press) {
    if (event.pointerType === "mouse") soon(hands, () => hands.act.cursor(...place));
    return;
  }
  press.moved ||= Math.hypot(place[0] - press.start[0], place[1] - press.start[1]) > SLOP;
  if (press.kind === "lasso") {
    press.path.push(place);
    soon(hands, () => hands.act.lasso(press.path, false));
  } else if (press.kind === "cursor") {
    soon(hands, () => hands.act.cursor(...place));
  } else if (press.moved) {
    const [from, to] = [press.last, place];
    press.last = place;
    now(hands);
    soon(hands, () => hands.act.pan(to[0] - from[0], to[1] - from[1]));
  }
}

function pinch(hands, id, place) {
  const [other] = [...hands.fingers].filter(([finger]) => finger !== id).map(([, at]) => at);
  const before = hands.fingers.get(id);
  hands.fingers.set(id, place);
  hands.press = null;
  const size = (at) => Math.max(1, Math.hypot(at[0] - other[0], at[1] - other[1]));
  const middle = (at) => [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
  const [from, to] = [middle(before), middle(place)];
  hands.act.zoom(size(place) / size(before), ...to);
  hands.act.pan(to[0] - from[0], to[1] - from[1]);
}

function up(hands, event) {
  hands.fingers.delete(event.pointerId);
  const press = hands.press;
  hands.press = null;
  if (!press) return;
  now(hands);
  const place = placeOf(hands, event);
  if (event.type === "pointercancel") {
    if (press.kind === "lasso") hands.act.lasso([], false);
  } else if (press.kind === "lasso" && press.moved) hands.act.lasso(press.path, true);
  else if (!press.moved) hands.act.pin(...place);
}

function wheel(hands, event) {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : event.ctrlKey ? 6 : 1; // Ctrl: two fingers on a touch pad
  hands.act.zoom(Math.exp(-0.0015 * lines * event.deltaY), ...placeOf(hands, event));
}
