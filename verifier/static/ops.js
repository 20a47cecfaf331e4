// The operators' page, live: asks for its parts each second and puts in what has changed. Without it the page renews itself.
"use strict";

const wall = document.getElementById("wall");
const age = document.getElementById("age");
const shown = new Map();
let askAgainMs = Number(wall.dataset.askAgainMs);
let heardAt = performance.now();
let oldS = 0;
let stale = [];
let trouble = "";

function inWords(seconds) {
  return seconds < 120 ? `${Math.floor(seconds)} s` : `${Math.floor(seconds / 60)} min`;
}

// Screen readers speak what changes, so only a change is written.
function tellAge() {
  const seconds = oldS + (performance.now() - heardAt) / 1000;
  const isOld = Boolean(trouble) || stale.length > 0 || seconds > 5;
  const words = isOld ? `${trouble}Last known state, ${inWords(seconds)} old` : "Live";
  if (age.textContent !== words) age.textContent = words;
  age.classList.toggle("stale", isOld);
  wall.dataset.stale = trouble ? "nodes service" : stale.join(" ");
}

function put(name, html) {
  const place = document.getElementById(`part-${name}`);
  // What somebody is about to press must not go from under their finger.
  if (!place || shown.get(name) === html || place.contains(document.activeElement)) return;
  const open = [...place.querySelectorAll("details")].map((each) => each.open);
  place.innerHTML = html;
  place.querySelectorAll("details").forEach((each, at) => { each.open = open[at] ?? false; });
  shown.set(name, html);
}

function show(state) {
  for (const [name, html] of Object.entries(state.parts)) put(name, html);
  document.title = document.title.replace(/^.*? –/, `${state.headline} –`);
  askAgainMs = state.ask_again_ms;
  oldS = state.age_s;
  stale = state.stale;
  trouble = "";
  heardAt = performance.now();
}

async function ask() {
  try {
    const response = await fetch(wall.dataset.url, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (response.status === 401) return location.reload();
    if (response.ok) show(await response.json());
    else trouble = "The service answers with an error. ";
  } catch {
    trouble = "This page does not reach the service. ";
  }
  tellAge();
  setTimeout(ask, document.hidden ? 5000 : askAgainMs);
}

setInterval(tellAge, 1000);
setTimeout(ask, askAgainMs);
