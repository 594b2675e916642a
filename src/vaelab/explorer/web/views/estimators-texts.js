// What the page says of each estimator: a title, a sentence or two, and where it was published.

import { h } from "../ui/dom.js";
import { explain, formula } from "../ui/explain.js";

const TEXTS = {
  "score-function, none": {
    title: "No baseline",
    text: "The score function: weighs the score of each code with its value. The mean is right, but any number that all values share makes the estimate noisier: move “Pixels that no bit changes”.",
    formula: "score-function",
    source: "Williams, 1992",
    link: "https://doi.org/10.1007/BF00992696",
  },
  "score-function, constant": {
    title: "Constant baseline",
    text: "The score function with one number b subtracted from every value. As the score has mean zero, b changes the spread and not the mean. The slider says where the spread is least.",
    formula: "score-function",
    source: "Williams, 1992",
    link: "https://doi.org/10.1007/BF00992696",
  },
  "score-function, running-average": {
    title: "Running average",
    text: "The score function; its baseline is the exponential average (decay 0.9) of the values of past estimates, so it finds the shared part itself.",
    formula: "score-function",
    source: "Mnih & Gregor, 2014",
    link: "https://arxiv.org/abs/1402.0030",
  },
  "score-function, leave-one-out": {
    title: "Leave-one-out",
    text: "The score function; the baseline of each code is the mean value of the other K − 1 codes. Under the importance-weighted bound this is VIMCO.",
    formula: "leave-one-out",
    source: "Kool, van Hoof & Welling, 2019; VIMCO: Mnih & Rezende, 2016",
    link: "https://arxiv.org/abs/1602.06725",
  },
  arm: {
    title: "ARM",
    text: "One vector u of uniform noise gives two codes that tend to be opposite: z is 1 where u > 1 − p, and z′ where u < p. Their difference in value weighs the noise.",
    formula: "arm",
    source: "Yin & Zhou, 2019",
    link: "https://arxiv.org/abs/1807.11143",
  },
  disarm: {
    title: "DisARM",
    text: "ARM with the noise integrated out given the pair of codes: the same mean, and never a larger variance.",
    formula: "disarm",
    source: "Dong, Mnih & Tucker, 2020",
    link: "https://arxiv.org/abs/2006.10680",
  },
  rebar: {
    title: "REBAR",
    text: "The bit z is 1 where a noisy logit v is above 0. Subtracts the value c of the relaxed code of ṽ, a draw of v given z, and adds its gradient back. Here the temperature is the one of the slider and the scale is 1; in a training both are learned.",
    formula: "rebar",
    source: "Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein, 2017",
    link: "https://arxiv.org/abs/1703.07370",
  },
  bitflip: {
    title: "Bitflip-1",
    text: "Flips one bit of each code, drawn at random, and compares the two values. The spread vanishes with p (1 − p): precise for bits that are almost certain, noisy for others.",
    formula: "bitflip",
    source: "Kunes et al., 2023",
    link: "https://arxiv.org/abs/2208.06124",
  },
  concrete: {
    title: "Concrete",
    text: "Trains a model whose codes lie between 0 and 1: its mean is the gradient of that other model. A lower temperature has less bias and more spread, but the KL of relaxed codes is biased at every temperature. Here prior and posterior have the same temperature.",
    formula: "concrete",
    source: "Maddison, Mnih & Teh, 2017",
    link: "https://arxiv.org/abs/1611.00712",
  },
  "straight-through": {
    title: "Straight-through",
    text: "Decodes bits, and differentiates as if their probabilities had been decoded. The slope at a code stands for a difference between two codes, hence the bias.",
    formula: "straight-through",
    source: "Bengio, Léonard & Courville, 2013",
    link: "https://arxiv.org/abs/1308.3432",
  },
  half: {
    title: "Half (ReinMax)",
    text: "Straight-through of second order: half of the slope at a code, weighed with the probability of the other value of the bit. The mean is the trapezoidal rule for the difference between the two values: no bias where the value is quadratic in the bits.",
    formula: "half",
    source: "Liu et al., 2023",
    link: "https://arxiv.org/abs/2304.08612",
  },
  "gumbel-straight-through": {
    title: "Gumbel straight-through",
    text: "Decodes bits, and differentiates as if their relaxation had been decoded. The temperature changes both the bias and the spread.",
    formula: "gumbel-straight-through",
    source: "Jang, Gu & Poole, 2017",
    link: "https://arxiv.org/abs/1611.01144",
  },
};

/** The title of an estimator. */
export function titleOf(name) {
  return TEXTS[name].title;
}

/** A "?" that opens what an estimator does: text, formula, source. */
export function explanationOf(name) {
  const { title, text, formula: key, source, link } = TEXTS[name];
  return explain(title, text, h("p", {}, formula(key)), h("p", { class: "source" }, `${source}: `, h("a", { href: link, text: link, rel: "noreferrer" })));
}
