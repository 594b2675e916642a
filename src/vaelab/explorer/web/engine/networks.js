// Networks: lists of layers, compiled once to functions of rows. Every matrix product is `affine`, which reads weights
// (inputs, outputs) row by row and skips inputs that are zero, as bits and the outputs of relu often are.
import { asFloats, sigmoid } from "./numbers.js";

/**
 * A network as a function from rows (n * inputs) to rows (n * outputs); NaN in a row is a missing value. Its `opening`
 * is the linear first layer {weight, width}, or null; `before(x, n)` are the numbers that this layer returns, and
 * `after(numbers, n)` what the other layers make of them (in place).
 */
export function network(net, get) {
  const first = standardised(net, get);
  const steps = compile(first.layers, get, { shape: null, width: first.width });
  const run = (x, n) => pass(first.read(asFloats(x), n), n, steps);
  const { folded } = first.layers[0] ?? {};
  run.opening = folded ? { weight: folded, width: folded.length / first.width } : null;
  run.before = (x, n) => pass(first.read(asFloats(x), n), n, steps.slice(0, 1));
  run.after = (numbers, n) => pass(numbers, n, steps.slice(1));
  run.isLinear = run.opening !== null && steps.length === 1;
  return run;
}

/** Layers as functions of rows; the state is the shape of an image, and the width of a row. */
function compile(layers, get, start) {
  let state = start;
  return layers.map((layer) => {
    const step = LAYERS[layer.op](layer, get, state);
    state = { shape: step.shape ?? state.shape, width: step.width ?? state.width };
    return step.apply;
  });
}

function pass(rows, n, steps) {
  return steps.reduce((values, apply) => apply(values, n), rows);
}

/** Layers as they are run, and how rows are read: (x - shift) * scale goes into the weights of a linear first layer. */
function standardised(net, get) {
  const { inputs } = net;
  const shift = net.shift === null ? new Float32Array(inputs) : get(net.shift).data;
  const scale = net.scale === null ? new Float32Array(inputs).fill(1) : get(net.scale).data;
  const [first, ...others] = net.layers;
  if (first?.op !== "linear") {
    const width = net.encode_mask ? 2 * inputs : inputs;
    return { layers: net.layers, width, read: (x, n) => centred(x, n, shift, scale, net.encode_mask) };
  }
  const folded = fold(first, get, shift, scale, net.encode_mask);
  const isPlain = !net.encode_mask && shift.every((s) => s === 0);
  return {
    layers: [{ ...first, ...folded }, ...others],
    width: net.encode_mask ? 2 * inputs : inputs,
    read: isPlain ? zeroed : (x, n) => filled(x, n, shift, net.encode_mask),
  };
}

/** W (x - shift) * scale + b as V x + c, and for the mask, which is read as observed - 1, the rest of W. */
function fold(layer, get, shift, scale, mask) {
  const { data: weight, shape } = get(layer.weight);
  const [, outputs] = shape;
  const inputs = shift.length;
  const folded = scale.every((s) => s === 1) ? weight : new Float32Array(weight);
  const bias = new Float64Array(outputs);
  bias.set(layer.bias === null ? bias : get(layer.bias).data);
  for (let i = 0; i < inputs; i += 1) {
    for (let j = 0, w = i * outputs; j < outputs; j += 1, w += 1) {
      folded[w] = scale[i] === 1 ? folded[w] : weight[w] * scale[i];
      bias[j] -= folded[w] * shift[i];
    }
  }
  for (let i = inputs; mask && i < 2 * inputs; i += 1) {
    for (let j = 0; j < outputs; j += 1) {
      bias[j] += weight[i * outputs + j];
    }
  }
  return { folded, foldedBias: bias };
}

function zeroed(x) {
  return x.some(Number.isNaN) ? x.map((value) => (Number.isNaN(value) ? 0 : value)) : x;
}

function filled(x, n, shift, mask) {
  const inputs = shift.length;
  if (!mask && !x.some(Number.isNaN)) {
    return x;
  }
  const width = mask ? 2 * inputs : inputs;
  const rows = new Float32Array(n * width);
  for (let r = 0; r < n; r += 1) {
    for (let i = 0; i < inputs; i += 1) {
      const value = x[r * inputs + i];
      const missing = Number.isNaN(value);
      rows[r * width + i] = missing ? shift[i] : value;
      if (mask && missing) {
        rows[r * width + inputs + i] = -1;
      }
    }
  }
  return rows;
}

function centred(x, n, shift, scale, mask) {
  const inputs = shift.length;
  const width = mask ? 2 * inputs : inputs;
  const rows = new Float32Array(n * width);
  for (let r = 0; r < n; r += 1) {
    for (let i = 0; i < inputs; i += 1) {
      const value = x[r * inputs + i];
      const missing = Number.isNaN(value);
      rows[r * width + i] = missing ? 0 : (value - shift[i]) * scale[i];
      if (mask) {
        rows[r * width + inputs + i] = missing ? 0 : 1;
      }
    }
  }
  return rows;
}

/** Rows (n, outputs) of weight^T x + bias for rows x (n, inputs) and a weight (inputs, outputs). */
export function affine(x, n, inputs, weight, bias, outputs) {
  const y = new Float32Array(n * outputs);
  const row = new Float64Array(outputs);
  const places = new Int32Array(inputs);
  for (let r = 0; r < n; r += 1) {
    let count = 0;
    for (let i = 0, p = r * inputs; i < inputs; i += 1, p += 1) {
      places[count] = i;
      count += x[p] === 0 ? 0 : 1;
    }
    row.set(bias);
    accumulate(row, x, r * inputs, places, count, weight, outputs);
    y.set(row, r * outputs);
  }
  return y;
}

function accumulate(row, x, start, places, count, weight, outputs) {
  let k = 0;
  for (; k + 3 < count; k += 4) {
    const [a, b, c, d] = [places[k], places[k + 1], places[k + 2], places[k + 3]];
    const [xa, xb, xc, xd] = [x[start + a], x[start + b], x[start + c], x[start + d]];
    const [wa, wb, wc, wd] = [a * outputs, b * outputs, c * outputs, d * outputs];
    for (let j = 0; j < outputs; j += 1) {
      row[j] += xa * weight[wa + j] + xb * weight[wb + j] + xc * weight[wc + j] + xd * weight[wd + j];
    }
  }
  for (; k < count; k += 1) {
    const value = x[start + places[k]];
    const w = places[k] * outputs;
    for (let j = 0; j < outputs; j += 1) {
      row[j] += value * weight[w + j];
    }
  }
}

function linear(layer, get, { width }) {
  const { data, shape } = get(layer.weight);
  const weight = layer.folded ?? data;
  const bias = layer.foldedBias ?? biasOf(layer, get, shape[1]);
  return { width: shape[1], apply: (x, n) => affine(x, n, shape[0], weight, bias, shape[1]), reads: width };
}

function biasOf(layer, get, outputs) {
  return layer.bias === null ? new Float32Array(outputs) : get(layer.bias).data;
}

function activation(choose) {
  return (layer) => {
    const f = choose(layer);
    return {
      apply: (x) => {
        for (let i = 0; i < x.length; i += 1) {
          x[i] = f(x[i]);
        }
        return x;
      },
    };
  };
}

/** Sizes of an image before and after a convolution, and the numbers of its kernel. */
function geometry(layer, [, height, width], transposed) {
  const [kernelH, kernelW] = layer.kernel;
  const [strideH, strideW] = layer.stride;
  const [padH, padW] = layer.padding;
  const [moreH, moreW] = layer.output_padding ?? [0, 0];
  const outH = transposed
    ? (height - 1) * strideH - 2 * padH + kernelH + moreH
    : Math.floor((height + 2 * padH - kernelH) / strideH) + 1;
  const outW = transposed
    ? (width - 1) * strideW - 2 * padW + kernelW + moreW
    : Math.floor((width + 2 * padW - kernelW) / strideW) + 1;
  return { kernelH, kernelW, strideH, strideW, padH, padW, height, width, outH, outW };
}

/** For each place of an image and each number of the kernel there, the place of the other image, or -1 outside. */
function footprint(g, placesH, placesW, otherH, otherW) {
  const size = g.kernelH * g.kernelW;
  const places = new Int32Array(placesH * placesW * size);
  for (let i = 0, k = 0; i < placesH; i += 1) {
    for (let j = 0; j < placesW; j += 1) {
      for (let a = 0; a < g.kernelH; a += 1) {
        for (let b = 0; b < g.kernelW; b += 1, k += 1) {
          const [u, v] = [i * g.strideH - g.padH + a, j * g.strideW - g.padW + b];
          places[k] = u >= 0 && v >= 0 && u < otherH && v < otherW ? u * otherW + v : -1;
        }
      }
    }
  }
  return places;
}

function conv(layer, get, { shape }) {
  const [planes, channels] = layer.channels;
  const g = geometry(layer, shape, false);
  const kernel = g.kernelH * g.kernelW;
  const [inside, outside] = [g.height * g.width, g.outH * g.outW];
  const places = footprint(g, g.outH, g.outW, g.height, g.width);
  const { data: weight } = get(layer.weight);
  const bias = biasOf(layer, get, channels);
  const one = (x) => {
    const patches = new Float32Array(outside * planes * kernel);
    for (let o = 0, t = 0; o < outside; o += 1) {
      for (let c = 0; c < planes; c += 1) {
        for (let k = o * kernel; k < (o + 1) * kernel; k += 1, t += 1) {
          patches[t] = places[k] < 0 ? 0 : x[c * inside + places[k]];
        }
      }
    }
    return transpose(affine(patches, outside, planes * kernel, weight, bias, channels), outside, channels);
  };
  return {
    shape: [channels, g.outH, g.outW],
    width: channels * outside,
    apply: (x, n) => rowByRow(x, n, planes * inside, channels * outside, one),
  };
}

function convTranspose(layer, get, { shape }) {
  const [channels, planes] = layer.channels;
  const g = geometry(layer, shape, true);
  const kernel = g.kernelH * g.kernelW;
  const [inside, outside] = [g.height * g.width, g.outH * g.outW];
  const places = footprint(g, g.height, g.width, g.outH, g.outW);
  const { data: weight } = get(layer.weight);
  const bias = biasOf(layer, get, planes);
  const none = new Float32Array(planes * kernel);
  const one = (x) => {
    const patches = affine(transpose(x, channels, inside), inside, channels, weight, none, planes * kernel);
    const image = new Float32Array(planes * outside);
    for (let c = 0; c < planes; c += 1) {
      image.fill(bias[c], c * outside, (c + 1) * outside);
    }
    for (let i = 0, t = 0; i < inside; i += 1) {
      for (let c = 0; c < planes; c += 1) {
        for (let k = i * kernel; k < (i + 1) * kernel; k += 1, t += 1) {
          if (places[k] >= 0) {
            image[c * outside + places[k]] += patches[t];
          }
        }
      }
    }
    return image;
  };
  return {
    shape: [planes, g.outH, g.outW],
    width: planes * outside,
    apply: (x, n) => rowByRow(x, n, channels * inside, planes * outside, one),
  };
}

function rowByRow(x, n, inputs, outputs, one) {
  const rows = new Float32Array(n * outputs);
  for (let r = 0; r < n; r += 1) {
    rows.set(one(x.subarray(r * inputs, (r + 1) * inputs)), r * outputs);
  }
  return rows;
}

function transpose(x, rows, columns) {
  const turned = new Float32Array(x.length);
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      turned[j * rows + i] = x[i * columns + j];
    }
  }
  return turned;
}

function addBias(layer, get) {
  const { data: bias } = get(layer.bias);
  return { apply: (x) => x.map((value, i) => value + bias[i % bias.length]) };
}

/** What the layers return, times a number, added to their input. */
function residual(layer, get, state) {
  const steps = compile(layer.layers, get, state);
  return {
    apply: (x, n) => {
      const y = pass(Float32Array.from(x), n, steps);
      return y.map((value, i) => x[i] + layer.strength * value);
    },
  };
}

/** Each row with mean 0 and variance 1, then a scale and a shift for each number, or for each channel of an image. */
function layerNorm(layer, get, { width }) {
  const { data: weight } = get(layer.weight);
  const { data: bias } = get(layer.bias);
  const each = width / weight.length;
  const one = (x) => {
    const mean = x.reduce((total, value) => total + value, 0) / width;
    const variance = x.reduce((total, value) => total + (value - mean) ** 2, 0) / width;
    const factor = 1 / Math.sqrt(variance + layer.eps);
    return x.map((value, i) => (value - mean) * factor * weight[Math.floor(i / each)] + bias[Math.floor(i / each)]);
  };
  return { apply: (x, n) => rowByRow(x, n, width, width, one) };
}

/** The first half of each row, times the sigmoid of the second. */
function gated(layer, get, { width }) {
  const half = width / 2;
  const one = (x) => x.slice(0, half).map((value, i) => value * sigmoid(x[half + i]));
  return { width: half, apply: (x, n) => rowByRow(x, n, width, half, one) };
}

// A layer that the page computes is a row here and one in explorer/networks.py: compiled to {apply, width, shape}.
const LAYERS = {
  linear,
  conv,
  "conv-transpose": convTranspose,
  unflatten: (layer) => ({ shape: layer.shape, apply: (x) => x }),
  flatten: () => ({ apply: (x) => x }),
  bias: addBias,
  residual,
  "layer-norm": layerNorm,
  glu: gated,
  relu: activation(() => (t) => (t > 0 ? t : 0)),
  "leaky-relu": activation(({ slope }) => (t) => (t > 0 ? t : slope * t)),
  tanh: activation(() => Math.tanh),
  silu: activation(() => (t) => t * sigmoid(t)),
  sigmoid: activation(() => sigmoid),
  elu: activation(({ slope }) => (t) => (t > 0 ? t : slope * Math.expm1(t))),
};
