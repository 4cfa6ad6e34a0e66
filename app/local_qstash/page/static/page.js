// Keeps the page current: asks for the part that changes once a second, and puts in what differs,
// so that focus, selection and opened details stay as they are. Everything works without it.
"use strict";

const INTERVAL = 1000;
const ANNOUNCE = 10000;
const changing = document.getElementById("changing");
const live = document.getElementById("live");
const lost = document.getElementById("lost");
let paused = false;
let timer = null;
let asking = null;
let announcedAt = Date.now();

function forgetOutcome() {
  const address = new URL(location.href);
  address.searchParams.delete("done");
  address.searchParams.delete("of");
  if (address.href !== location.href) history.replaceState(null, "", address);
}

function wait() {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(poll, INTERVAL);
}

async function poll() {
  clearTimeout(timer);
  if (asking) return;
  asking = new AbortController();
  const limit = setTimeout(() => asking.abort(), 10 * INTERVAL);
  try {
    const answer = await fetch(location.pathname + location.search, {
      headers: { "X-Page-Poll": "1" }, signal: asking.signal, cache: "no-store",
    });
    const text = await answer.text();
    if (answer.ok) show(text);
    else say(answer.status === 404 ? "The server no longer has this." : `The server answered ${answer.status}. Reload the page.`);
  } catch {
    if (!paused) say("No connection to the server. This page may be out of date; trying again.");
  } finally {
    clearTimeout(limit);
    asking = null;
    wait();
  }
}

function show(html) {
  if (paused) return;
  lost.hidden = true;
  state("live", "Live");
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  const before = numbers();
  morphChildren(changing, fresh);
  reveal();
  announce(before, numbers());
}

function say(reason) {
  state("lost", "Not live");
  if (lost.textContent !== reason) lost.textContent = reason;
  lost.hidden = false;
}

function state(name, word) {
  live.dataset.state = name;
  live.textContent = word;
  live.setAttribute("aria-pressed", String(!paused));
  live.title = paused ? "Resume updates" : "Pause updates";
}

// Screen readers hear the numbers now and then, not every second.
function numbers() {
  const shown = [...document.querySelectorAll("#nav a:has(.number)")];
  return shown.map((entry) => entry.textContent.replace(/\s+/g, " ").trim()).join(", ");
}

function announce(before, after) {
  if (before === after || Date.now() - announcedAt < ANNOUNCE) return;
  announcedAt = Date.now();
  document.getElementById("announce").textContent = after;
}

function morphChildren(old, fresh) {
  const byId = new Map([...old.children].map((one) => [idOf(one), one]));
  const kept = new Set([...fresh.children].map(idOf));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const match = idOf(wanted) ? byId.get(idOf(wanted)) : similar(place, wanted);
    if (!match) {
      old.insertBefore(wanted, place);
      continue;
    }
    // What stays must not be moved, that would take its focus: rather remove what is before it.
    while (place && place !== match && !(idOf(place) && kept.has(idOf(place)))) place = drop(place);
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    morph(match, wanted);
  }
  while (place) place = drop(place);
}

// Not node.id: in a form that is the field named id, if it has one.
function idOf(node) {
  return node.getAttribute?.("id");
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function similar(place, wanted) {
  if (wanted.nodeType !== Node.ELEMENT_NODE) return place?.nodeType === wanted.nodeType ? place : null;
  const looks = (one) => one.nodeName + (one.getAttribute?.("class") ?? "");
  while (place && (idOf(place) || looks(place) !== looks(wanted))) place = place.nextSibling;
  return place;
}

function morph(old, wanted) {
  if (old.isEqualNode(wanted)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !wanted.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, wanted);
}

// Copying needs a secure context; where there is none, the text can still be selected.
function reveal() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    document.getElementById("announce").textContent = "Copied";
    button.textContent = "Copied";
  }
  // A question that was opened closes when something else is clicked.
  for (const open of document.querySelectorAll("details.confirm[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.confirm[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

live.addEventListener("click", () => {
  paused = !paused;
  if (paused) {
    asking?.abort();
    clearTimeout(timer);
    lost.hidden = true;
    state("paused", "Paused");
  } else {
    state("live", "Live");
    poll();
  }
});

document.addEventListener("visibilitychange", () => (document.hidden || paused ? clearTimeout(timer) : poll()));

live.hidden = false;
state("live", "Live");
forgetOutcome();
reveal();
wait();
