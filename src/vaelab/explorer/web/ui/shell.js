// The frame of the page: title, choice of the run, tabs, theme, and the panel of the view.

import { h, fill } from "./dom.js";
import { placeIn } from "./numbers.js";

/** Show the views; the state says which one, of which run. */
export function openShell(app, { page, state, theme, rng }, views) {
  const panel = h("main", { class: "panel", id: "panel", role: "tabpanel", tabindex: "-1" });
  const spoken = h("div", { class: "spoken", "aria-live": "polite" });
  const reason = h("p", { class: "reason", role: "status" });
  const tabs = views.map((view) => tabOf(view, state, (text) => fill(reason, text)));
  const header = h(
    "header",
    { class: "page-head" },
    h("h1", { text: page.title }),
    h("div", { class: "head-controls" }, page.runs.length > 1 ? runChoice(page, state) : null, themeButton(state, theme)),
    h("div", { class: "tabs", role: "tablist", "aria-label": "Views" }, tabs),
    reason,
  );
  fill(app, header, panel, spoken, h("footer", { class: "page-foot", text: contentOf(page) }));
  let mounted = null;
  const show = () => {
    if (mounted) mounted.unmount();
    const run = page.runs[runIn(state, page)];
    const current = currentView(views, state, page, run);
    fill(reason, whyNot(views, state, page, run));
    tabs.forEach((tab, place) => selectTab(tab, views[place], views[place] === current, views[place].applies(page, run)));
    panel.setAttribute("aria-labelledby", `tab-${current.name}`);
    panel.dataset.view = current.name;
    const root = h("div", { class: `view view-${current.name}` });
    fill(panel, h("p", { class: "about", text: current.about }), root);
    const canOpen = (name) => views.some((view) => view.name === name && view.applies(page, run) === true);
    mounted = current.mount(root, { page, run, state, theme, rng, canOpen, say: (text) => fill(spoken, text) });
  };
  const changed = (keys) => {
    applyTheme(state);
    if (keys === null || keys.some((key) => ["view", "run", "theme"].includes(key))) show();
    else if (mounted) mounted.update(keys);
  };
  state.on(changed);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
  applyTheme(state);
  show();
}

/** Say which data are in the page: whoever has the page has them. */
function contentOf({ data, runs }) {
  const number = (value) => value.toLocaleString("en");
  const rows = data.map(({ count, total, split, name }) => `${number(count)} of the ${number(total)} ${split} rows of ${name}`);
  return `This file holds ${[...rows, runs.length === 1 ? "the weights of the model" : `the weights of ${runs.length} models`].join(", and ")}.`;
}

function currentView(views, state, page, run) {
  const wanted = views.find((view) => view.name === state.get("view"));
  if (wanted && wanted.applies(page, run) === true) return wanted;
  return views.find((view) => view.applies(page, run) === true);
}

/** Return why the view of the address is not shown; an empty text where it is. */
function whyNot(views, state, page, run) {
  const wanted = views.find((view) => view.name === state.get("view"));
  const applies = wanted ? wanted.applies(page, run) : true;
  return applies === true ? "" : `${wanted.title} of ${run.title}: ${applies}`;
}

function tabOf(view, state, tell) {
  const tab = h("button", { type: "button", role: "tab", id: `tab-${view.name}`, "aria-controls": "panel", text: view.title });
  tab.addEventListener("click", () => {
    if (tab.getAttribute("aria-disabled") === "true") tell(`${view.title}: ${tab.title}`);
    else state.set({ view: view.name });
  });
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...tab.parentElement.children];
    all[(all.indexOf(tab) + step + all.length) % all.length].focus();
    event.preventDefault();
  });
  return tab;
}

function selectTab(tab, view, selected, applies) {
  tab.setAttribute("aria-selected", String(selected));
  tab.setAttribute("aria-disabled", String(applies !== true));
  tab.tabIndex = selected ? 0 : -1;
  tab.title = applies === true ? view.about : applies;
}

function runChoice(page, state) {
  const select = h("select", { "aria-label": "Run" }, page.runs.map((run, index) => h("option", { value: index, text: run.title })));
  const show = () => {
    select.value = String(runIn(state, page));
  };
  show();
  select.addEventListener("change", () => state.set({ run: Number(select.value) }));
  state.on(show);
  return select;
}

function runIn(state, page) {
  return placeIn(state, "run", page.runs.length - 1);
}

function themeButton(state, theme) {
  const choose = () => state.set({ theme: theme.dark ? "light" : "dark" });
  const button = h("button", { type: "button", class: "theme", onclick: choose });
  const name = () => fill(button, theme.dark ? "Light theme" : "Dark theme");
  state.on((keys) => (keys === null || keys.includes("theme") ? requestAnimationFrame(name) : null));
  requestAnimationFrame(name); // when the theme of the address is applied
  return button;
}

function applyTheme(state) {
  const chosen = state.get("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}
