// The table of the estimators: one row each, with its picture and its numbers.

import { fill, h } from "../ui/dom.js";
import { roundNumbers } from "../ui/numbers.js";
import { drawAxis, drawCloud, drawVariance, openSurface } from "./estimators-picture.js";
import { explanationOf, titleOf } from "./estimators-texts.js";

const COLUMNS = ["Mean", "Bias", "SD", "Variance"];

/** Return the table: `show(rows, frame)` fills it with estimators, `draw(frame)` their pictures, `write(frame)` their numbers. */
export function openTable() {
  const axis = h("canvas", { class: "axis", "aria-hidden": "true" });
  const powers = h("canvas", { class: "axis", "aria-hidden": "true" });
  const of = h("span", { class: "what" });
  const head = h(
    "tr",
    {},
    h("th", { scope: "col", class: "name", text: "Estimator" }),
    h("th", { scope: "col", class: "cloud" }, of, axis),
    COLUMNS.map((text) => h("th", { scope: "col", class: `number ${text.toLowerCase()}`, title: text === "SD" ? "standard deviation" : null, text })),
    h("th", { scope: "col", class: "power" }, h("span", { class: "what", text: "Variance (log)" }), powers),
  );
  const body = h("tbody", {});
  const element = h("table", { class: "estimates" }, h("caption", { class: "spoken", text: "Estimates of one entry of the gradient by each estimator" }), h("thead", {}, head), body);
  let [rows, heads, shown, made] = [[], null, 1, ""];
  return {
    element,
    /** Put a row for each estimator in the table. */
    show(estimators, settings) {
      shown = settings.shown + 1;
      if (made === `${settings.objective} ${settings.samples}`) return; // the rows stay, with what is open in them
      made = `${settings.objective} ${settings.samples}`;
      rows = estimators.map((estimator) => rowOf(estimator, settings));
      fill(body, rows.map((row) => row.element));
    },
    /** Take the sizes that the canvases have on the page. */
    measure() {
      heads = { axis: openSurface(axis), powers: openSurface(powers) };
      rows.forEach((row) => row.measure());
    },
    draw(frame) {
      drawAxis(heads.axis, { ...frame.axis, ticks: roundNumbers(frame.axis.low, frame.axis.high, heads.axis.width / 90) }, frame.colours, plain);
      drawAxis(heads.powers, frame.powers, frame.colours, powerOf);
      rows.forEach((row, place) => row.draw(frame, frame.kept[place]));
    },
    write(frame) {
      of.textContent = `Gradient for the logit of bit ${shown}, nats; exact: ${numberOf(frame.exact, 0)}`;
      rows.forEach((row, place) => row.write(frame, frame.kept[place]));
    },
  };
}

function rowOf(estimator, settings) {
  const title = titleOf(estimator.name);
  const cloud = h("canvas", { role: "img", "aria-label": `${title}: its estimates; the numbers stand in this row` });
  const variance = h("canvas", { "aria-hidden": "true" });
  const [mean, bias, deviation, spread] = COLUMNS.map((label) => h("span", { class: "value", "data-label": label }));
  const outside = h("span", { class: "outside" });
  const family = estimator.name.startsWith("score-function") ? "score function, " : "";
  const decoded = estimator.decodes(settings.samples, settings.objective);
  const element = h(
    "tr",
    { class: estimator.biased ? "biased" : null },
    h(
      "th",
      { scope: "row", class: "name" },
      h("span", { class: "title" }, title, " ", explanationOf(estimator.name)),
      h("span", { class: "estimator-facts", text: `${family}${estimator.biased ? "biased" : "unbiased"}, decodes ${decoded} codes` }),
    ),
    h("td", { class: "cloud" }, cloud, outside),
    h("td", { class: "number" }, mean),
    h("td", { class: "number" }, bias),
    h("td", { class: "number" }, deviation),
    h("td", { class: "number" }, spread),
    h("td", { class: "power" }, variance),
  );
  let surfaces = null;
  return {
    element,
    measure() {
      surfaces = { cloud: openSurface(cloud), variance: openSurface(variance) };
    },
    draw(frame, kept) {
      const colours = { ...frame.colours, of: estimator.biased ? frame.colours.biased : frame.colours.unbiased };
      const { tally } = kept;
      drawCloud(surfaces.cloud, { axis: frame.axis, cloud: kept.cloud, tally, exact: frame.exact, colours, showLast: frame.showLast });
      drawVariance(surfaces.variance, { axis: frame.powers, tally, colours });
    },
    write(frame, { tally, cloud: kept }) {
      mean.textContent = numberOf(tally.mean, tally.error);
      bias.textContent = tally.count > 1 ? `${signed(tally.mean - frame.exact, tally.error)} ± ${numberOf(tally.error, tally.error)}` : "–";
      deviation.textContent = tally.count > 1 ? tally.deviation.toPrecision(3) : "–";
      spread.textContent = tally.count > 1 ? tally.variance.toPrecision(3) : "–";
      outside.textContent = kept.outside ? `${((100 * kept.outside) / tally.count).toFixed(1)} % outside` : "";
    },
  };
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function powerOf(exponent) {
  return `10${exponent < 0 ? "⁻" : ""}${Array.from(String(Math.abs(exponent)), (digit) => SUPERSCRIPTS[Number(digit)]).join("")}`;
}

function plain(value) {
  return String(value).replace("-", "−");
}

/** Write a number with as many decimals as its error has before its second digit. */
function numberOf(value, error) {
  const decimals = error > 0 ? Math.min(6, Math.max(1, 1 - Math.floor(Math.log10(error)))) : 3;
  return value.toFixed(decimals).replace("-", "−");
}

function signed(value, error) {
  const text = numberOf(value, error);
  return value < 0 ? text : `+${text}`;
}
