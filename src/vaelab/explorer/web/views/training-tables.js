// The evaluations of a run with their protocol, and the facts of its training.

import { button } from "../ui/controls.js";
import { h } from "../ui/dom.js";
import { explain } from "../ui/explain.js";
import { shownNumber } from "../ui/numbers.js";
import { copyText } from "../ui/save.js";

const UNKNOWN = "not recorded";
const ELSEWHERE = ["bound", "codes of a row", "seconds"]; // columns of their own, or in the note

const MEANINGS = [
  ["elbo", "elbo: the bound that is trained, with K codes for each row; it lies below log p(x)."],
  ["iwae-", "iwae-K: the bound of K weighted codes (Burda et al., 2016); it rises with K towards log p(x)."],
  ["reconstruction", "reconstruction: the mean of log p(x|z) over codes of q(z|x); reconstruction − kl = elbo."],
  ["kl", "kl: KL[q(z|x) || p(z)], the information of the code in nats."],
  ["active-units", "active-units: numbers of the code that depend on x."],
  ["quadrature", "quadrature: log p(x) itself, integrated over a grid of codes."],
  ["exact", "exact: log p(x) itself, summed over all codes."],
  ["ais", "ais: log p(x) by annealed importance sampling."],
];

/** Return the table of the evaluations of a run: value ± standard error, and the protocol of each. */
export function evaluationTable(run) {
  const records = run.evaluations;
  const of = records.map((record) => new Map(record.protocol.filter(([title]) => !ELSEWHERE.includes(title))));
  const titles = [...new Set(of.flatMap((facts) => [...facts.keys()]))];
  // A fact with one text in all rows stands above the table, any other is a column.
  const shared = titles.filter((title) => new Set(of.filter((facts) => facts.has(title)).map((facts) => facts.get(title))).size === 1);
  const own = titles.filter((title) => !shared.includes(title));
  const text = (title) => of.find((facts) => facts.has(title)).get(title);
  const unknown = shared.filter((title) => text(title) === UNKNOWN);
  const protocol = [...shared.filter((title) => !unknown.includes(title)).map((title) => `${title} ${text(title)}`), ...(unknown.length ? [`${UNKNOWN}: ${unknown.join(", ")}`] : [])].join("; ");
  const head = ["name", "K", "value", ...own];
  const rows = records.map((record, place) => ({ note: noteOf(record), cells: [record.name, record.samples?.toLocaleString("en") ?? "–", valueOf(record), ...own.map((title) => of[place].get(title) ?? "–")] }));
  const meanings = MEANINGS.filter(([name]) => records.some((record) => record.name === name || (name.endsWith("-") && record.name.startsWith(name)))).map((pair) => pair[1]);
  return h(
    "section",
    { class: "training-evaluations" },
    h("h2", {}, "Evaluations ", explain("the evaluations", ...meanings)),
    h("p", { class: "small soft", text: `Nats per observation, ± one standard error over the rows${protocol ? `. Protocol of all: ${protocol}` : ""}.` }),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Evaluations" }, tableOf(head, rows)),
    run.advice.map((sentence) => h("p", { class: "small", text: sentence })),
  );
}

function valueOf(record) {
  const whole = record.standard_error === null && Number.isInteger(record.value);
  const value = whole ? record.value.toLocaleString("en") : shownNumber(record.value, 3);
  const units = record.units ? ` of ${record.units}` : "";
  return record.standard_error === null || record.standard_error === undefined ? `${value}${units}` : `${value} ± ${shownNumber(record.standard_error, 3)}`;
}

function noteOf(record) {
  const notes = [
    record.note,
    record.nats_per_active_unit ? `${shownNumber(record.nats_per_active_unit)} nats for each active unit (${record.measure})` : "",
    record.median_effective_samples ? `median effective number of codes ${shownNumber(record.median_effective_samples, 1)} of ${record.samples}` : "",
    record.observed_cells ? `${shownNumber(record.observed_cells, 1)} of ${record.row_cells} values observed, on average` : "",
    record.seconds ? `${shownNumber(record.seconds, 1)} s` : "",
  ];
  return notes.filter(Boolean).map((note) => note.replace(/\.$/, "")).join("; ");
}

function tableOf(head, rows) {
  const lines = rows.flatMap(({ cells, note }) => [
    h("tr", { class: note ? "with-note" : null }, cells.map((text, place) => h(place ? "td" : "th", { scope: place ? null : "row", "data-column": head[place], text }))),
    ...(note ? [h("tr", { class: "note-row" }, h("td", { colspan: head.length, text: note }))] : []),
  ]);
  return h("table", { class: "evaluations" }, h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col", text })))), h("tbody", {}, lines));
}

/** Return the facts of a run as a list of names and texts; the command can be copied. */
export function facts(run, say) {
  const last = run.metrics[run.metrics.length - 1];
  const status = h("output", { class: "small soft" });
  const told = (text) => {
    status.textContent = text;
    say(text);
  };
  const counted = [["parameters", run.parameters.toLocaleString("en")], ...(last ? [["training", `${last.step.toLocaleString("en")} steps, ${shownNumber(last.seconds, 1)} s`]] : [])];
  const pairs = run.facts.filter(([name]) => name !== "command");
  const command = run.facts.find(([name]) => name === "command");
  return h(
    "section",
    { class: "training-facts" },
    command ? [h("h2", { text: "Train it again" }), h("pre", { class: "command", text: command[1] }), h("div", { class: "button-row" }, button("Copy the command", () => copyText(command[1], told)), status)] : null,
    h("h2", { text: "Facts" }),
    h("dl", { class: "facts" }, [...counted, ...pairs].flatMap(([name, text]) => [h("dt", { text: name }), h("dd", { text })])),
  );
}
