// The computations of the Draw view: a first look in the next frame, many codes and other rows in slices after that.

import { packRuns } from "../ui/pack.js";
import { fill, h } from "../ui/dom.js";
import { inSlices } from "../ui/work.js";
import { boundsOfRows, comparableRows, firstLook, manyCodes } from "./draw-compute.js";
import { readInput } from "./draw-input.js";
import { wordsOf } from "./draw-said.js";
import { counted } from "./draw-words.js";

const COMPARED = 200; // rows whose bound is computed in the page
const PAUSE = 120; // milliseconds without a change, after which long computations start
const FEWEST = 10; // rows with which an input is compared, at least

/** Return what computes the view: `{ update(changed), stop() }`; `parts` show it. */
export function workOf(context, parts, why) {
  const { run, state, rng } = context;
  const references = referencesOf(run, rng, () => {
    show();
    busy();
  });
  const many = manyOf(context, parts, () => busy());
  let [frame, input, look] = [0, null, null];
  const busy = () => parts.element.setAttribute("aria-busy", String(frame !== 0 || many.busy || references.busy));
  const show = () => {
    const reference = references.of(input);
    parts.entry.show(input, look);
    parts.given.show(input);
    parts.row.update();
    parts.reconstruction?.show(look.reconstruction);
    parts.code.show(look);
    parts.bound.show(look, reference);
    const { words, near } = wordsOf(run, input, look, reference);
    fill(parts.words, words.map((text) => h("li", { text })));
    parts.near.show(near);
  };
  const compute = () => {
    frame = 0;
    look = firstLook(run, input, rng(state.get("draw.seed", 0)).fork("draw"));
    references.seek(input);
    show();
    many.start(input, look);
    busy();
  };
  return {
    update(changed) {
      if (!changed) {
        if (!frame) parts.entry.show(input, look);
        return;
      }
      input = readInput(state, run, why === null || run.data.may_be_missing);
      references.stop();
      many.stop();
      if (!frame) frame = requestAnimationFrame(compute);
      busy();
    },
    stop() {
      cancelAnimationFrame(frame);
      references.stop();
      many.stop();
    },
  };
}

/** Many codes of the input: for IWAE-K if it is asked for, and for hidden values. */
function manyOf({ run, state, rng }, parts, ended) {
  const work = slices();
  return {
    stop: work.stop,
    get busy() {
      return work.busy;
    },
    start(input, look) {
      const wanted = state.get("draw.iwae", false);
      parts.bound.showMany(null, 0, wanted);
      parts.missing.wait(input);
      if (!run.model.hasBound || !(wanted || input.hidden)) return;
      const noise = rng(state.get("draw.seed", 0)).fork("draw, many codes");
      let codes = null;
      const done = () => {
        if (wanted) parts.bound.showMany(codes.bounds(), codes.count);
        if (input.hidden) {
          parts.missing.show(input, codes, noise.fork("draws"));
          look.filled = codes.mean();
          parts.entry.show(input, look);
        }
        ended();
      };
      const each = (value) => {
        codes = value;
      };
      work.start(manyCodes(run, input, noise, Number(state.get("draw.codes", "500"))), each, done);
    },
  };
}

/** Work in slices, at most one at a time, once the input has not changed for a moment. */
function slices() {
  let stop = null;
  const end = () => {
    stop?.();
    stop = null;
  };
  return {
    stop: end,
    get busy() {
      return stop !== null;
    },
    start(generator, each, done) {
      end();
      const ended = () => {
        stop = null;
        done();
      };
      const begin = setTimeout(() => {
        stop = inSlices(generator, { each, done: ended });
      }, PAUSE);
      stop = () => clearTimeout(begin);
    },
  };
}

/** The values of the rows with which an input is compared: `seek` computes them in slices, and then calls `found`. */
function referencesOf(run, rng, found) {
  const known = new Map();
  const work = slices();
  const key = ({ x }) => packRuns(Uint8Array.from(x, (value) => Number(Number.isNaN(value))));
  return {
    stop: work.stop,
    get busy() {
      return work.busy;
    },
    of: (input) => known.get(key(input)) ?? null,
    seek(input) {
      const name = key(input);
      if (known.has(name)) return;
      const rows = comparableRows(run.data, input.x);
      if (rows.length < FEWEST || !run.model.hasBound || !input.hidden) {
        known.set(name, atOnce(run, rows));
        return;
      }
      const chosen = rows.slice(0, COMPARED);
      const values = [];
      const done = () => {
        const words = `${counted(chosen.length, `${run.data.split} row`)} (of the same observed values)`;
        known.set(name, { values: Float64Array.from(values), rows: words, indices: chosen });
        found();
      };
      work.start(boundsOfRows(run, input.x, chosen, rng(0)), (value) => values.push(value), done);
    },
  };
}

function atOnce(run, rows) {
  const { data, model } = run;
  const indices = model.hasBound ? rows : Array.from({ length: data.count }, (_, row) => row);
  const all = model.hasBound ? run.bounds : model.prior(data.count).logProb(run.codes);
  const complete = rows.length < data.count && model.hasBound ? " without missing values" : "";
  return { values: Float64Array.from(indices, (row) => all[row]), rows: `${counted(indices.length, `${data.split} row`)}${complete}`, indices, few: indices.length < FEWEST };
}
