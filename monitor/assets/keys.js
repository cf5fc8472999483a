// What a viewer does with a page: keys, the palette, the theme, the map of chunks, tables row by
// row. Nothing here is needed to read a page, and all of it works without a mouse.
// @ts-check
"use strict";

/** @template {HTMLElement} T @param {string} id @returns {T} */
const element = (id) => /** @type {T} */ (document.getElementById(id));

/** @type {HTMLDialogElement} */ const palette = element("palette");
/** @type {HTMLDialogElement} */ const help = element("help");
/** @type {HTMLInputElement} */ const query = element("palette-input");
/** @type {HTMLUListElement} */ const list = element("palette-list");
/** @type {HTMLInputElement} */ const singleKeys = element("single-keys");
const THEMES = ["system", "light", "dark"];
// Between `g` and the key of a page.
const SEQUENCE_MS = 1500;
let sequence = 0;

/** @param {string} name @param {string} [value] */
function remembered(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name) ?? "";
  } catch {
    return value ?? "";
  }
}

/* Theme */

/** @param {string} theme */
function setTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  element("theme-now").textContent = theme;
  remembered("theme", theme);
}

function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "system";
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
}

/* Palette: the pages, and whatever the present page links to. */

/** @typedef {{ name: string, hint: string, url: string }} Place */

/** @returns {Place[]} */
function places() {
  /** @type {Map<string, Place>} */
  const found = new Map();
  for (const link of document.querySelectorAll("#nav a")) {
    const { pathname } = /** @type {HTMLAnchorElement} */ (link);
    const name = link.querySelector("span")?.textContent ?? "";
    found.set(pathname, { name, hint: /** @type {HTMLElement} */ (link).dataset.hint ?? "", url: pathname });
  }
  for (const link of document.querySelectorAll("main a.name, main a.id")) {
    const url = link.getAttribute("href") ?? "";
    const kind = url.split("/")[1]?.replace(/s$/, "").split("?")[0] ?? "";
    if (!found.has(url)) found.set(url, { name: (link.textContent ?? "").trim(), hint: kind, url });
  }
  return [...found.values()];
}

/** @param {string} text @returns {Place[]} */
function matching(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (/** @type {Place} */ place) =>
    words.every((word) => `${place.name} ${place.hint} ${place.url}`.toLowerCase().includes(word));
  const found = places().filter(fits).slice(0, 12);
  const asked = text.trim();
  // An id leads to its task or job, even if nothing on the page names it.
  if (/^[0-9a-f]{32}(:\d+)?$/i.test(asked)) {
    found.unshift({ name: asked, hint: "task or job", url: `/find?id=${encodeURIComponent(asked)}` });
  } else if (/^[\w.@-]+$/.test(asked)) {
    found.push({ name: asked, hint: "queue of this name", url: `/queues/${encodeURIComponent(asked)}` });
  }
  return found;
}

function fill() {
  const items = matching(query.value).map((place, i) => {
    const item = document.createElement("li");
    item.id = `place-${i}`;
    item.role = "option";
    item.dataset.url = place.url;
    const name = document.createElement("span");
    name.textContent = place.name;
    const hint = document.createElement("span");
    hint.className = "muted";
    hint.textContent = place.hint;
    item.append(name, hint);
    return item;
  });
  list.replaceChildren(...items);
  choose(0);
}

/** @param {number} at */
function choose(at) {
  const items = [...list.children];
  items.forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
  const chosen = items[at];
  if (chosen) {
    query.setAttribute("aria-activedescendant", chosen.id);
    chosen.scrollIntoView({ block: "nearest" });
  } else query.removeAttribute("aria-activedescendant");
}

function chosen() {
  return [...list.children].findIndex((item) => item.getAttribute("aria-selected") === "true");
}

/** @param {Element | undefined | null} item */
function follow(item) {
  const url = item instanceof HTMLElement ? item.dataset.url : undefined;
  if (url) location.assign(url);
}

function openPalette() {
  query.value = "";
  fill();
  palette.showModal();
  query.focus();
}

query.addEventListener("input", fill);
query.addEventListener("keydown", (event) => {
  const count = list.children.length;
  if (event.key === "ArrowDown") choose((chosen() + 1) % count);
  else if (event.key === "ArrowUp") choose((chosen() + count - 1) % count);
  else if (event.key === "Enter") follow(list.children[chosen()]);
  else return;
  event.preventDefault();
});
list.addEventListener("click", (event) => follow(/** @type {Element} */ (event.target).closest("li")));

/* Keys */

/** @param {EventTarget | null} target */
const writes = (target) =>
  target instanceof Element && !!target.closest("input, textarea, select, [contenteditable]");

/** @param {KeyboardEvent} event */
function onKey(event) {
  const { key } = event;
  if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") {
    event.preventDefault();
    if (palette.open) palette.close();
    else openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (writes(event.target) || palette.open || help.open || !singleKeys.checked) return;
  const isSecond = event.timeStamp < sequence;
  sequence = 0;
  /** @type {HTMLAnchorElement | null} */
  const page = isSecond ? document.querySelector(`#nav a[data-go="${CSS.escape(key)}"]`) : null;
  if (page) page.click();
  else if (key === "g") sequence = event.timeStamp + SEQUENCE_MS;
  else if (key === "/") openPalette();
  else if (key === "?") help.showModal();
  else if (key === "t") nextTheme();
  else if (key === "r") location.reload();
  else if (key === "j") nextRow(1);
  else if (key === "k") nextRow(-1);
  else return;
  event.preventDefault();
}

/** The links that rows are about, one after the other. @param {number} step */
function nextRow(step) {
  /** @type {HTMLElement[]} */
  const rows = [...document.querySelectorAll("main tbody tr")]
    .map((row) => /** @type {HTMLElement} */ (row.querySelector("a")))
    .filter(Boolean);
  const row = document.activeElement?.closest("tr");
  const at = rows.findIndex((link) => row !== null && link.closest("tr") === row);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step;
  rows[next]?.focus();
}

document.addEventListener("keydown", onKey);

/* The map of chunks: an arrow moves the cell that is told, Enter opens it. */

/** @param {SVGSVGElement} map @param {number} at */
function tell(map, at) {
  const { cells = "", size = "1", total = "0" } = map.dataset;
  const cell = cells[at];
  if (cell === undefined) return;
  map.dataset.at = String(at);
  const word = document.querySelector(`#chunks [data-cell="${cell}"]`)?.getAttribute("data-word") ?? "";
  const first = at * Number(size);
  const last = Math.min(first + Number(size), Number(total)) - 1;
  const told = document.getElementById("chunk-told");
  if (told) told.textContent = `, #${first}${last > first ? ` – #${last}` : ""}: ${word}`;
}

/** @param {SVGSVGElement} map @param {MouseEvent} event */
function cellAt(map, event) {
  const box = map.getBoundingClientRect();
  const { cells = "", columns = "50" } = map.dataset;
  const wide = Number(columns);
  const high = Math.ceil(cells.length / wide);
  const x = Math.floor(((event.clientX - box.left) / box.width) * wide);
  const y = Math.floor(((event.clientY - box.top) / box.height) * high);
  return y * wide + x;
}

/** @param {EventTarget | null} target @returns {SVGSVGElement | null} */
const mapOf = (target) => (target instanceof Element ? target.closest("svg.map") : null);

/** @param {SVGSVGElement} map */
function openCell(map) {
  const { job, size = "1", at = "0" } = map.dataset;
  location.assign(`/tasks/${job}:${Number(at) * Number(size)}`);
}

document.addEventListener("mousemove", (event) => {
  const map = mapOf(event.target);
  if (map) tell(map, cellAt(map, event));
});
document.addEventListener("click", (event) => {
  const map = mapOf(event.target);
  // Beside the last cell there is nothing.
  if (map && cellAt(map, event) < (map.dataset.cells ?? "").length) openCell(map);
});
document.addEventListener("keydown", (event) => {
  const map = mapOf(event.target);
  if (!map) return;
  const columns = Number(map.dataset.columns);
  /** @type {Record<string, number>} */
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  const step = steps[event.key];
  if (event.key === "Enter") openCell(map);
  else if (step !== undefined) {
    const at = Number(map.dataset.at ?? 0) + step;
    if (at >= 0 && at < (map.dataset.cells ?? "").length) tell(map, at);
    event.preventDefault();
  }
});

/* The buttons that need this script */

for (const id of ["open-palette", "theme", "open-help"]) element(id).hidden = false;
element("open-palette").addEventListener("click", openPalette);
element("open-help").addEventListener("click", () => help.showModal());
element("theme").addEventListener("click", nextTheme);
setTheme(document.documentElement.dataset.theme ?? "system");
singleKeys.checked = remembered("single-keys") !== "off";
singleKeys.addEventListener("change", () => remembered("single-keys", singleKeys.checked ? "on" : "off"));
