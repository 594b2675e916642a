// The parts of a model, from the page's JSON to functions that return distributions: p(z), q(z|x), p(x|z). A part that
// the page computes is a row of a table here and one in explorer/parts.py.
import { chain } from "./chain.js";
import {
  bernoulli, categorical, continuousBernoulli, delta, gather, multinomial, normal, product,
} from "./distributions.js";
import { flow, flowLayers, lineOf, splineOf } from "./flow.js";
import { flowedNormal } from "./flowed_normal.js";
import { fullNormal } from "./full_normal.js";
import { inferMeans } from "./mean_field.js";
import { mixture } from "./mixture.js";
import { network } from "./networks.js";
import { columnsOf } from "./numbers.js";
import { tree } from "./tree.js";

/** A row of numbers repeated n times. */
function tiled(row, n) {
  const rows = new Float32Array(n * row.length);
  for (let r = 0; r < n; r += 1) {
    rows.set(row, r * row.length);
  }
  return rows;
}

const PRIORS = {
  normal: ({ dim }) => (n) => normal(n, dim, new Float32Array(n * dim), new Float32Array(n * dim)),
  bernoulli: ({ logits }, get) => {
    const { data } = get(logits);
    return (n) => bernoulli(n, data.length, tiled(data, n));
  },
  mixture: ({ weights, means, covariances }, get) => {
    const [pi, mu, sigma] = [weights, means, covariances].map((index) => get(index).data);
    return (n) => mixture(n, mu.length / pi.length, pi, mu, sigma);
  },
  flow: ({ dim, layers, units }, get) => {
    const steps = flowLayers(layers, get, splineOf);
    const scaled = units?.map((index) => get(index).data);
    return (n) => flow(n, dim, steps, scaled);
  },
  chain: ({ top, conditionals, sizes }, get) => {
    const first = priorOf(top, get);
    const steps = conditionals.map((part) => posteriorOf(part, get));
    return (n) => chain(n, sizes, first(n), steps, true);
  },
};

const POSTERIORS = {
  "mean-field": (part, get, description) => {
    const layers = linearLayers(description, get);
    const { prior } = description;
    const top = get((prior.top ?? prior).logits).data;
    const size = layers.reduce((sum, { parents }) => sum + parents, 0);
    const columns = layers[0].children;
    return (x, n) => {
      const logits = new Float32Array(n * size);
      for (let r = 0; r < n; r += 1) {
        const means = inferMeans(x.subarray(r * columns, (r + 1) * columns), layers, top, part);
        logits.set(means.flatMap((mu) => [...mu]).map((m) => Math.log(m) - Math.log1p(-m)), r * size);
      }
      return bernoulli(n, size, logits);
    };
  },
  normal: ({ network: net }, get) => {
    const run = network(net, get);
    const size = net.outputs / 2;
    return (x, n) => {
      const numbers = run(x, n);
      const loc = columnsOf(numbers, n, 2 * size, 0, size);
      return normal(n, size, loc, columnsOf(numbers, n, 2 * size, size, 2 * size));
    };
  },
  "full-normal": ({ network: net, dim }, get) => {
    const run = network(net, get);
    const width = net.outputs;
    return (x, n) => {
      const numbers = run(x, n);
      const part = (from, to) => columnsOf(numbers, n, width, from, to);
      const below = part(2 * dim, width).map((b) => b / Math.sqrt(dim));
      return fullNormal(n, dim, part(0, dim), part(dim, 2 * dim), below);
    };
  },
  "flowed-normal": ({ network: net, dim, layers, noise }, get) => {
    const run = network(net, get);
    const steps = flowLayers(layers, get, lineOf);
    const width = net.outputs - 2 * dim;
    return (x, n) => {
      const numbers = run(x, n);
      const part = (from, to) => columnsOf(numbers, n, net.outputs, from, to);
      const context = { rows: part(2 * dim, net.outputs), width };
      return flowedNormal(n, dim, part(0, dim), part(dim, 2 * dim), steps, context, get(noise).data);
    };
  },
  bernoulli: ({ network: net }, get) => {
    const run = network(net, get);
    return (x, n) => bernoulli(n, net.outputs, run(x, n));
  },
  delta: ({ network: net }, get) => {
    const run = network(net, get);
    return (x, n) => delta(n, net.outputs, run(x, n));
  },
  chain: ({ conditionals, sizes }, get) => {
    const [first, ...steps] = conditionals.map((part) => posteriorOf(part, get));
    return (x, n) => chain(n, sizes, first(x, n), steps, false);
  },
};

// From the numbers of a network (n * X) to a distribution over observations.
const LIKELIHOODS = {
  bernoulli: () => (numbers, n, size) => bernoulli(n, size, numbers),
  categorical: ({ groups }) => (numbers, n, size) => categorical(n, size, numbers, groups),
  "continuous-bernoulli": () => (numbers, n, size) => continuousBernoulli(n, size, numbers),
  gaussian,
  "gaussian-shared": gaussian,
  multinomial: ({ total }) => (numbers, n, size) => multinomial(n, size, numbers, total),
  product: ({ parts }, get) => {
    const builders = parts.map((part) => LIKELIHOODS[part.kind](part, get));
    const columns = parts.map((part) => part.columns);
    return (numbers, n, size) => {
      const groups = columns.map((places, g) => builders[g](gather(numbers, n, size, places), n, places.length));
      return product(n, size, groups, columns);
    };
  },
  tree: ({ forest, changes }) => (numbers, n, size) => {
    const [off, last] = [0, size].map((start) => columnsOf(numbers, n, 2 * size, start, start + size));
    return tree(n, size, off, changes ? off.map((logit, i) => logit + last[i]) : last, forest);
  },
};

function gaussian({ mean, deviation, log_scale: logScale }, get) {
  const [m, d, s] = [mean, deviation, logScale].map((index) => get(index).data);
  return (numbers, n, size) => normal(n, size, numbers.map((f, i) => m[i % size] + d[i % size] * f), tiled(s, n));
}

/** The function n -> p(z) for n rows. */
export function priorOf(part, get) {
  return PRIORS[part.kind](part, get);
}

/** The function (rows, n) -> q(z|x); mean-field inference reads the weights of the whole model. */
export function posteriorOf(part, get, description = null) {
  return POSTERIORS[part.kind](part, get, description);
}

/** The linear layers of a belief network as mean-field inference reads them, nearest to x first. */
function linearLayers({ likelihood, prior }, get) {
  const conditionals = prior.kind === "chain" ? prior.conditionals.slice().reverse() : [];
  return [likelihood, ...conditionals].map((part) => {
    const run = network(part.network, get);
    const { inputs: parents, outputs: children } = part.network;
    return { J: run.opening.weight, h: run.before(new Float32Array(parents), 1), parents, children };
  });
}

/** The network of p(x|z), and what makes a distribution of its numbers. */
export function likelihoodOf(part, get) {
  const build = LIKELIHOODS[part.kind](part, get);
  const { network: net, size } = part;
  return { run: network(net, get), build: (numbers, n) => build(numbers, n, size), numbers: net.outputs / size };
}

/** The layers of a model of bits, for `belief`. */
export function layersOf({ prior, dim, layers }, bottom, get) {
  const isChain = prior.kind === "chain";
  const conditionals = isChain ? prior.conditionals.slice().reverse() : [];
  const between = conditionals.map((part) => ({
    run: network(part.network, get),
    build: (numbers, n) => bernoulli(n, part.network.outputs, numbers),
    numbers: 1,
  }));
  return {
    sizes: layers.length ? layers : [dim],
    top: priorOf(isChain ? prior.top : prior, get),
    below: [bottom, ...between],
  };
}
