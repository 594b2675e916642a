// What the page shows, kept in the address after #, so that a view can be linked.

/** Return the state: `get(key, default)`, `set({key: value})`, `on(listener)`; the type of the default is that of the value. */
export function openState() {
  let values = new URLSearchParams(location.hash.slice(1));
  const listeners = new Set();
  const tell = (changed) => listeners.forEach((listener) => listener(changed));
  addEventListener("hashchange", () => {
    values = new URLSearchParams(location.hash.slice(1));
    tell(null);
  });
  return {
    get(key, fallback = null) {
      const text = values.get(key);
      if (text === null) return fallback;
      if (typeof fallback === "number") return Number.isFinite(Number(text)) ? Number(text) : fallback;
      if (typeof fallback === "boolean") return text === "1";
      return text;
    },
    set(changes) {
      const changed = Object.keys(changes).filter((key) => values.get(key) !== written(changes[key]));
      if (!changed.length) return;
      for (const key of changed) {
        if (written(changes[key]) === null) values.delete(key);
        else values.set(key, written(changes[key]));
      }
      keep(values);
      tell(changed);
    },
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function written(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return value ? "1" : "0";
  return typeof value === "number" ? String(Math.round(value * 1e6) / 1e6) : String(value);
}

let waiting = 0;
function keep(values) {
  clearTimeout(waiting); // browsers refuse an address that changes many times a second
  waiting = setTimeout(() => {
    try {
      history.replaceState(null, "", `#${values}`);
    } catch {
      // a page inside another one, such as in a notebook, may have no address of its own
    }
  }, 120);
}
