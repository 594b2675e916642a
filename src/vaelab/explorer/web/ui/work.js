// Long computations in slices, so that the page answers while they run.

const SLICE = 12; // milliseconds of a frame

/** Run a generator in slices: `each(value)` for every value, `pause()` after a slice, `done()` at the end. Returns a function that stops it. */
export function inSlices(work, { each = () => {}, pause = () => {}, done = () => {} }) {
  let waiting = 0;
  const slice = () => {
    const end = performance.now() + SLICE;
    while (performance.now() < end) {
      const next = work.next();
      if (next.done) {
        waiting = 0;
        done();
        return;
      }
      each(next.value);
    }
    waiting = setTimeout(slice);
    pause();
  };
  waiting = setTimeout(slice);
  return () => clearTimeout(waiting);
}
