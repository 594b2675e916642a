// What the view of layers keeps in the address: the row, whether x is observed, and the values of every layer.

import { numbersToText, textToNumbers } from "../ui/numbers.js";
import { codeOfText } from "./bits-numbers.js";
import { climb, layersOf } from "./layers-numbers.js";
import { subjectOf } from "./bits-subject.js";

const known = new WeakMap();

/** Return the layers of a run, with its data and units; made once for each run. */
export function layersOfRun(run) {
  if (!known.has(run)) known.set(run, { ...subjectOf(run), net: layersOf(run.model) });
  return known.get(run);
}

/** Return the name of a layer: y\u2081 is nearest to x. */
export function layerName(l) {
  return `y${[...String(l + 1)].map((digit) => String.fromCharCode(0x2080 + Number(digit))).join("")}`;
}

/** Return the row, what is observed of it, and the layers of the state; a layer that it does not name is the most probable one. */
export function currentLayers(subject, state) {
  const row = subject.rowAt(state, "layers.row");
  const given = subject.givenOf(row);
  const x = state.get("layers.free", false) ? null : subject.data.row(row);
  const own = climb(subject.net, subject.data.row(row), given);
  const read = subject.net.bits ? codeOfText : textToNumbers;
  const ys = own.map((y, l) => read(state.get(keyOf(l)), y.length) ?? y);
  return { row, given, x, data: subject.data.row(row), ys };
}

/** Return the changes of the state that keep these layers. */
export function keptLayers(subject, ys) {
  return Object.fromEntries(ys.map((y, l) => [keyOf(l), numbersToText(y)]));
}

/** Return the changes of the state that forget all layers. */
export function forgottenLayers(subject) {
  return Object.fromEntries(subject.sizes.map((_, l) => [keyOf(l), null]));
}

function keyOf(l) {
  return `layers.y${l + 1}`;
}
