// Distributions over n rows of a vector of `size` numbers. Each is an object {kind, n, size, params, mean(), mode(),
// sample(rng, temperature), logProb(x)}; of real numbers stddev() too. Rows are flat Float32Arrays (n * size).
// logProb(x) returns nats per row, as a Float64Array(n), and leaves out what is NaN in x; x may be one row for all.
// A temperature T divides logits by T and multiplies standard deviations by T: 1 is the model, 0 the likeliest.
import { logFactorial, logSumExp, sigmoid, softplus } from "./numbers.js";

const LOG_2PI = Math.log(2 * Math.PI);
const WIDEST = 0.45 * Math.log(3.4028234663852886e38); // of log sigma, as in Python
const LARGEST = 3.4028234663852886e38;

/** Sum f(x, index of the number) over the observed numbers of each row; x may be one row for all. */
function sumOfRows(x, n, size, f) {
  const total = new Float64Array(n);
  const isShared = x.length === size && n > 1;
  for (let r = 0, i = 0; r < n; r += 1) {
    let sum = 0;
    for (let j = 0, k = isShared ? 0 : i; j < size; j += 1, i += 1, k += 1) {
      const value = x[k];
      if (value === value) { // not NaN
        sum += f(value, i, j);
      }
    }
    total[r] = sum;
  }
  return total;
}

/** Independent normal numbers with mean `loc` and log standard deviation `logScale`, (n * size) each. */
export function normal(n, size, loc, logScale) {
  const log = logScale.map((value) => Math.min(WIDEST, Math.max(-WIDEST, value)));
  return {
    kind: "normal",
    n,
    size,
    params: { loc, logScale: log },
    mean: () => loc.slice(),
    mode: () => loc.slice(),
    stddev: () => log.map(Math.exp),
    sample: (rng, temperature = 1) => loc.map((mu, i) => mu + temperature * Math.exp(log[i]) * rng.normal()),
    logProb: (x) => sumOfRows(x, n, size, (value, i) => {
      const standard = (value - loc[i]) * Math.exp(-log[i]);
      return -0.5 * (standard * standard + 2 * log[i] + LOG_2PI);
    }),
  };
}

/** Independent bits with logits (n * size). */
export function bernoulli(n, size, logits) {
  const finite = (l) => Math.min(LARGEST, Math.max(-LARGEST, l));
  return {
    kind: "bernoulli",
    n,
    size,
    params: { logits },
    mean: () => logits.map(sigmoid),
    mode: () => logits.map((l) => (l > 0 ? 1 : 0)),
    sample: (rng, temperature = 1) =>
      logits.map((l) => (rng.uniform() < (temperature === 0 ? (l > 0 ? 1 : 0) : sigmoid(l / temperature)) ? 1 : 0)),
    logProb: (x) => sumOfRows(x, n, size, (value, i) => value * finite(logits[i]) - softplus(finite(logits[i]))),
  };
}

/** All probability on one vector for each row: it has no density. */
export function delta(n, size, loc) {
  return {
    kind: "delta",
    n,
    size,
    params: { loc },
    mean: () => loc.slice(),
    mode: () => loc.slice(),
    stddev: () => new Float32Array(loc.length),
    sample: () => loc.slice(),
    logProb: () => {
      throw new Error("A point has no density.");
    },
  };
}

/** Independent categorical variables: groups of one-hot columns, of the sizes `groups`, with logits (n * size). */
export function categorical(n, size, logits, groups) {
  let end = 0;
  const starts = groups.map((width) => (end += width) - width);
  const totals = new Float64Array(n * groups.length); // log sum exp of each group
  for (let r = 0; r < n; r += 1) {
    groups.forEach((width, g) => {
      totals[r * groups.length + g] = logSumExp(logits, r * size + starts[g], width);
    });
  }
  const eachGroup = (f) => {
    const rows = new Float32Array(n * size);
    for (let r = 0; r < n; r += 1) {
      groups.forEach((width, g) => f(rows, r * size + starts[g], width, totals[r * groups.length + g]));
    }
    return rows;
  };
  const largest = (score) => eachGroup((rows, start, width) => {
    let best = start;
    let highest = -Infinity;
    for (let i = start; i < start + width; i += 1) {
      const s = score(logits[i]);
      [best, highest] = s > highest ? [i, s] : [best, highest];
    }
    rows[best] = 1;
  });
  return {
    kind: "categorical",
    n,
    size,
    params: { logits, groups },
    mean: () => eachGroup((rows, start, width, total) => {
      for (let i = start; i < start + width; i += 1) {
        rows[i] = Math.exp(logits[i] - total);
      }
    }),
    mode: () => largest((l) => l),
    sample: (rng, temperature = 1) => largest((l) => l - temperature * Math.log(-Math.log(rng.uniform()))),
    logProb: (x) => {
      const found = new Float64Array(n);
      const isShared = x.length === size && n > 1;
      for (let r = 0; r < n; r += 1) {
        groups.forEach((width, g) => {
          let sum = 0; // NaN, and so left out, if any column of the variable is missing
          for (let j = starts[g]; j < starts[g] + width; j += 1) {
            sum += x[(isShared ? 0 : r * size) + j] * (logits[r * size + j] - totals[r * groups.length + g]);
          }
          found[r] += Number.isNaN(sum) ? 0 : sum;
        });
      }
      return found;
    },
  };
}

/** Independent numbers in [0, 1] with density proportional to e^(l x): Loaiza-Ganem & Cunningham (2019). */
export function continuousBernoulli(n, size, logits) {
  const finite = logits.map((l) => Math.min(LARGEST, Math.max(-LARGEST, l)));
  const draw = (l, u) => {
    const steep = Math.max(Math.abs(l), 1.2e-7);
    const low = -Math.log1p(u * Math.expm1(-steep)) / steep;
    return Math.min(1, Math.max(0, l > 0 ? 1 - low : low));
  };
  return {
    kind: "continuous-bernoulli",
    n,
    size,
    params: { logits: finite },
    mean: () => finite.map(continuousMean),
    mode: () => finite.map((l) => (l > 0 ? 1 : 0)),
    sample: (rng, temperature = 1) => finite.map((l) => draw(l / Math.max(temperature, 1e-6), rng.uniform())),
    logProb: (x) => sumOfRows(x, n, size, (value, i) => {
      const steep = Math.max(Math.abs(finite[i]), 1e-30);
      return finite[i] * (value - (finite[i] > 0 ? 1 : 0)) - Math.log(-Math.expm1(-steep) / steep);
    }),
  };
}

function continuousMean(l) {
  if (Math.abs(l) < 0.01) { // the formula loses its digits near 0: the series of log((e^l - 1) / l)
    return 0.5 + l / 12 - l ** 3 / 720;
  }
  const size = Math.abs(l);
  const below = 1 / size - Math.exp(-size) / -Math.expm1(-size);
  return l > 0 ? 1 - below : below;
}

/** Rows of counts: `total` things fall on the columns with the probabilities of a softmax of logits (n * size). */
export function multinomial(n, size, logits, total) {
  const shares = categorical(n, size, logits, [size]);
  const known = () => {
    if (total < 1) {
      throw new Error("The number of counts of a row is not known.");
    }
    return total;
  };
  return {
    kind: "multinomial",
    n,
    size,
    params: { logits, total },
    shares: () => shares.mean(),
    mean: () => shares.mean().map((p) => p * known()),
    mode: () => countsOfMode(shares.mean(), n, size, known()),
    sample: (rng, temperature = 1) => {
      if (temperature === 0) { // the limit: all things fall on the likeliest column
        return shares.mode().map((one) => one * known());
      }
      const cooler = categorical(n, size, logits.map((l) => l / temperature), [size]);
      return countsDrawn(cooler.mean(), n, size, known(), rng);
    },
    logProb: (x) => {
      const found = shares.logProb(x);
      const isShared = x.length === size && n > 1;
      for (let r = 0; r < n; r += 1) {
        const row = isShared ? x : x.subarray(r * size, (r + 1) * size);
        if (row.some(Number.isNaN)) {
          throw new Error("A multinomial distribution has no density of some of its columns.");
        }
        found[r] += logFactorial(row.reduce((sum, count) => sum + count, 0));
        row.forEach((count) => {
          found[r] -= logFactorial(count);
        });
      }
      return found;
    },
  };
}

/** The most probable counts: each thing goes to the largest quotient p_j / (count_j + 1) (Finucan, 1964). */
function countsOfMode(shares, n, size, total) {
  const counts = new Float32Array(n * size);
  for (let r = 0; r < n; r += 1) {
    for (let thing = 0; thing < total; thing += 1) {
      let best = r * size;
      for (let i = best; i < (r + 1) * size; i += 1) {
        best = shares[i] * (counts[best] + 1) > shares[best] * (counts[i] + 1) ? i : best;
      }
      counts[best] += 1;
    }
  }
  return counts;
}

function countsDrawn(shares, n, size, total, rng) {
  const counts = new Float32Array(n * size);
  for (let r = 0; r < n; r += 1) {
    for (let thing = 0; thing < total; thing += 1) {
      let left = rng.uniform();
      let i = r * size;
      while (i < (r + 1) * size - 1 && left >= shares[i]) {
        left -= shares[i];
        i += 1;
      }
      counts[i] += 1;
    }
  }
  return counts;
}

/** Independent groups of columns with a distribution each: `columns[g]` are the places of the columns of `parts[g]`. */
export function product(n, size, parts, columns) {
  const joined = (rows) => {
    const whole = new Float32Array(n * size);
    rows.forEach((part, g) => scatter(part, whole, n, size, columns[g]));
    return whole;
  };
  return {
    kind: "product",
    n,
    size,
    params: { parts, columns },
    mean: () => joined(parts.map((part) => part.mean())),
    mode: () => joined(parts.map((part) => part.mode())),
    sample: (rng, temperature = 1) => joined(parts.map((part) => part.sample(rng, temperature))),
    logProb: (x) => {
      const total = new Float64Array(n);
      parts.forEach((part, g) => {
        const values = part.logProb(gather(x, x.length / size, size, columns[g]));
        values.forEach((value, r) => {
          total[r] += value;
        });
      });
      return total;
    },
  };
}

/** The columns `places` of rows (n, size), in that order. */
export function gather(rows, n, size, places) {
  const part = new Float32Array(n * places.length);
  for (let r = 0, k = 0; r < n; r += 1) {
    for (let j = 0; j < places.length; j += 1, k += 1) {
      part[k] = rows[r * size + places[j]];
    }
  }
  return part;
}

function scatter(part, rows, n, size, places) {
  for (let r = 0, k = 0; r < n; r += 1) {
    for (let j = 0; j < places.length; j += 1, k += 1) {
      rows[r * size + places[j]] = part[k];
    }
  }
}

/** KL[q || p] of each row in nats, in closed form; null if there is no formula for these two. */
export function divergence(q, p) {
  if ((q.kind === "normal" || q.kind === "full-normal") && p.kind === "normal") {
    const [mq, lq, mp, lp] = [q.params.loc, q.params.logScale, p.params.loc, p.params.logScale];
    const spread = q.stddev();
    return sumOfRows(mq, q.n, q.size, (mu, i) => {
      const ratio = 2 * (lq[i] - lp[i]);
      const distance = (mu - mp[i]) * Math.exp(-lp[i]);
      return -0.5 * (1 + ratio - distance * distance - (spread[i] * Math.exp(-lp[i])) ** 2);
    });
  }
  if (q.kind === "bernoulli" && p.kind === "bernoulli") {
    const prior = p.params.logits;
    return sumOfRows(q.params.logits, q.n, q.size, (l, i) => {
      const steep = Math.abs(l);
      const entropy = softplus(-steep) + steep * sigmoid(-steep);
      return sigmoid(l) * softplus(-prior[i]) + sigmoid(-l) * softplus(prior[i]) - entropy;
    });
  }
  return null;
}
