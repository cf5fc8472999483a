// Keeps a page up to date. The server sends fragments of HTML; each replaces the element of the
// same id by changing what differs, so that focus, selection and scroll positions stay.
// Without this script the pages are complete, and reload by themselves.
"use strict";

const RETRY_MS = 2000;
// Three times the longest silence of the server.
const SILENCE_MS = 15000;

const source = document.body.dataset.events;
const build = document.body.dataset.build;
const banner = document.getElementById("stream");
let stream = null;
let watchdog = 0;
let retry = 0;

localize(document);
// The updates of a hidden page help nobody.
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
if (source && !document.hidden) open();

function open() {
  close();
  stream = new EventSource(source);
  stream.addEventListener("build", alive);
  stream.addEventListener("build", (event) => {
    if (event.data !== build) say("The monitor was updated. Reload this page to go on.", true);
  });
  stream.addEventListener("beat", alive);
  stream.addEventListener("fragments", (event) => {
    alive();
    for (const [id, html] of JSON.parse(event.data)) update(id, html);
  });
  stream.addEventListener("error", lost);
  watchdog = setTimeout(silent, SILENCE_MS);
}

function close() {
  clearTimeout(watchdog);
  clearTimeout(retry);
  if (stream) stream.close();
  stream = null;
}

function alive() {
  clearTimeout(watchdog);
  watchdog = setTimeout(silent, SILENCE_MS);
  if (banner.dataset.state === "lost") say("");
}

// The browser reconnects by itself after a lost connection, but not after a refusal.
function lost() {
  say("Connection to the monitor lost. Reconnecting …");
  if (stream && stream.readyState === EventSource.CLOSED) {
    close();
    retry = setTimeout(open, RETRY_MS);
  }
}

// A connection can die without a sign.
function silent() {
  say("The monitor is silent. Reconnecting …");
  open();
}

function say(text, stays = false) {
  if (banner.textContent !== text) banner.textContent = text;
  banner.dataset.state = text === "" ? "" : stays ? "stays" : "lost";
}

function update(id, html) {
  const old = document.getElementById(id);
  const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  if (!old || !fresh) return;
  localize(fresh);
  morph(old, fresh);
}

// The server speaks UTC; a viewer reads the times of their own zone, and both when pointing at one.
function localize(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const local = `${day(at)} ${clock(at)}`;
    if ("exact" in time.dataset) time.textContent = local;
    if ("clock" in time.dataset) time.textContent = clock(at);
    if ("minute" in time.dataset) time.textContent = clock(at).slice(0, 5);
    time.title = `${local} ${zone(at)} · ${time.dateTime}`;
  }
}

function day(at) {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

function clock(at) {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

// `UTC+02:00`
function zone(at) {
  const minutes = -at.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) {
    old.replaceWith(document.importNode(fresh, true));
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if ("keep" in old.dataset) {
    // What is in it is of our other script.
  } else if (!old.isEqualNode(fresh)) {
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
  }
}

function morphAttributes(old, fresh) {
  // Whether details are open, and which cell of a map is told, is the viewer's choice.
  const ours = (name) => (name === "open" && old.nodeName === "DETAILS") || name === "data-at";
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !ours(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

// Children with a key are found wherever they were; the others are compared one by one.
function morphChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.children) if (key(child)) keyed.set(key(child), child);
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const known = key(child) && keyed.get(key(child));
    if (known) {
      keyed.delete(key(child));
      if (known === place) place = place.nextSibling;
      else old.insertBefore(known, place);
      morph(known, child);
    } else if (place && !key(place) && !key(child)) {
      const next = place.nextSibling;
      morph(place, child);
      place = next;
    } else {
      old.insertBefore(document.importNode(child, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "";
}
