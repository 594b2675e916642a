// The small model of the estimators' view: an image of 3 x 3 pixels, a stroke for each bit, and sliders for q(z|x).

import { bestBaseline, toyModel } from "../engine/toy.js";
import { button, choice, slider } from "../ui/controls.js";
import { fill, h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";

const STROKES = ["000111000", "010010010", "100010001", "001010100"];
const START = [0.7, 0.4, 0.3, 0.5];
const IMAGE = "010111010";

/** The settings of the view, read from the state; a number outside its range, as a link may have it, is brought to the nearest end. */
export function settingsOf(state) {
  const number = (key, fallback, low, high) => Math.min(high, Math.max(low, state.get(`estimators.${key}`, fallback)));
  const whole = (key, fallback, low, high) => Math.round(number(key, fallback, low, high));
  const bits = whole("bits", 3, 2, 4);
  const image = state.get("estimators.x", IMAGE);
  return {
    bits,
    image: /^[01]{9}$/.test(image) ? image : IMAGE,
    p: START.slice(0, bits).map((start, bit) => number(`p${bit + 1}`, start, 0.02, 0.98)),
    contrast: number("contrast", 1.5, 0.25, 3),
    extra: whole("extra", 10, 0, 60),
    shown: whole("bit", 1, 1, bits) - 1,
    objective: state.get("estimators.objective", "elbo") === "iwae" ? "iwae" : "elbo",
    samples: 2 * Math.round(number("k", 4, 2, 8) / 2),
    baseline: number("baseline", -10, -60, 0),
    temperature: number("temperature", 0.5, 0.05, 2),
    seed: whole("seed", 0, 0, 999999),
    zoom: number("zoom", 0, 0, 5),
  };
}

/** The model of some settings: the logit of a pixel is 2 c times the strokes on it, less c; other pixels have probability 1/2. */
export function modelOf({ bits, image, p, contrast, extra }) {
  const strokes = STROKES.slice(0, bits);
  return toyModel({
    weights: Float64Array.from({ length: 9 * bits }, (_, place) => 2 * contrast * Number(strokes[place % bits][Math.floor(place / bits)])),
    bias: new Float64Array(9).fill(-contrast),
    x: Float64Array.from(image, Number),
    logits: p.map((value) => Math.log(value / (1 - value))),
    constant: -extra * Math.LN2,
  });
}

/** The panel of the model: the image, the bits with their strokes, and what else changes the estimates. */
export function openStage(state) {
  const pixels = Array.from({ length: 9 }, (_, place) => pixelOf(state, place));
  const bits = h("div", { class: "toy-bits" });
  const best = h("p", { class: "hint" });
  const bit = h("div", {});
  const element = h(
    "section",
    { class: "toy", "aria-label": "The model" },
    h("h3", {}, "The model ", explainModel()),
    h("div", { class: "toy-x" }, h("div", { class: "toy-image", role: "group", "aria-label": "The observation x: 3 by 3 pixels" }, pixels), h("p", { class: "hint", text: "The observation x. Press a pixel to change it." })),
    choice(state, "estimators.bits", { label: "Bits of a code, D", options: [[2, "2"], [3, "3"], [4, "4"]], value: 3 }),
    bits,
    slider(state, "estimators.contrast", { label: "Contrast of the strokes", min: 0.25, max: 3, step: 0.25, value: 1.5 }),
    slider(state, "estimators.extra", { label: "Pixels that no bit changes", min: 0, max: 60, step: 1, value: 10, format: String }),
    h("h3", {}, "The estimators ", explainEstimators()),
    choice(state, "estimators.objective", { label: "Objective", options: [["elbo", "ELBO"], ["iwae", "IWAE of K codes"]] }),
    choice(state, "estimators.k", { label: "Codes of an estimate, K", options: [[2, "2"], [4, "4"], [6, "6"], [8, "8"]], value: 4 }),
    bit,
    slider(state, "estimators.baseline", { label: "Constant baseline b, nats", min: -60, max: 0, step: 0.5, value: -10, format: (value) => value.toFixed(1).replace("-", "−") }),
    best,
    slider(state, "estimators.temperature", { label: "Temperature t", min: 0.05, max: 2, step: 0.05, value: 0.5 }),
    button("Start values", () => state.set(Object.fromEntries(KEYS.map((key) => [key, null])))),
  );
  let count = 0;
  return {
    element,
    show(settings, model) {
      pixels.forEach((pixel, place) => pixel.setAttribute("aria-pressed", String(settings.image[place] === "1")));
      if (count !== settings.bits) {
        count = settings.bits;
        fill(bits, Array.from({ length: count }, (_, place) => bitOf(state, place)));
        fill(bit, choice(state, "estimators.bit", { label: "Gradient of the logit of", options: Array.from({ length: count }, (_, place) => [place + 1, `bit ${place + 1}`]), value: 1 }));
      }
      best.textContent =
        settings.objective === "elbo"
          ? `The variance is least at b = ${bestBaseline(model, settings.shown).toFixed(1).replace("-", "−")}.`
          : "b is subtracted from the bound of all K codes.";
    },
  };
}

const KEYS = ["bits", "x", "p1", "p2", "p3", "p4", "contrast", "extra", "objective", "k", "bit", "baseline", "temperature"].map((key) => `estimators.${key}`);

function pixelOf(state, place) {
  const flip = () => {
    const { image } = settingsOf(state);
    state.set({ "estimators.x": `${image.slice(0, place)}${image[place] === "1" ? "0" : "1"}${image.slice(place + 1)}` });
  };
  return button("", flip, { class: "pixel", "aria-label": `pixel in row ${Math.floor(place / 3) + 1}, column ${(place % 3) + 1}` });
}

function bitOf(state, place) {
  const dots = Array.from(STROKES[place], (on) => h("i", { class: on === "1" ? "on" : null }));
  return h(
    "div",
    { class: "toy-bit" },
    h("span", { class: "stroke", role: "img", "aria-label": `the stroke of bit ${place + 1}` }, dots),
    slider(state, `estimators.p${place + 1}`, { label: `q(z${"₁₂₃₄"[place]} = 1 | x)`, min: 0.02, max: 0.98, step: 0.02, value: START[place] }),
  );
}

function explainModel() {
  return explain(
    "the model",
    "Each bit of the code draws a stroke on an image of 3 by 3 pixels. The code has so few bits that the exact gradient can be summed over all codes; that is the line in the picture.",
    h("p", {}, formula("toy")),
    "p(z) is uniform. The sliders set q(z|x). A pixel that no bit changes has probability 1/2, so it adds −0.69 nats to log p(x|z) of every code: the exact gradient stays as it is, but the noise of some estimators grows.",
  );
}

function explainEstimators() {
  return explain(
    "the estimators",
    h("p", {}, formula("elbo-gradient")),
    "Each row estimates the gradient of the objective for one logit l of q(z|x); p is the probability of that bit. Under the ELBO, f(z) is log p(x|z). The gradient of the KL is known, and added to every estimate.",
    "Under the IWAE, the objective is the log of the mean of K weights p(x, z)/q(z|x). Then f is that of all K codes, and the gradient through the weights is added. Estimators that are not defined for it are left out.",
  );
}
