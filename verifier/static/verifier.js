// What the pages gain with JavaScript: the mail's way live, a countdown, a form that sends itself again.
// Everything works without it.
"use strict";

// A double click must not send two mails, and waiting looks like waiting. A page that comes back out of the browser's
// cache works again.
for (const form of document.querySelectorAll("form[data-once]")) {
  const button = form.querySelector("button[type=submit]"), label = button.textContent;
  const slow = form.appendChild(document.createElement("p"));
  slow.className = "hint";
  slow.setAttribute("role", "status");
  let sent = false, timer = 0;
  form.addEventListener("submit", (event) => {
    if (sent) return event.preventDefault();
    sent = true;
    button.textContent = form.dataset.busy || document.body.dataset.busy;
    button.classList.add("busy");
    timer = setTimeout(() => { slow.textContent = document.body.dataset.slow; }, 3000);
  });
  window.addEventListener("pageshow", () => {
    clearTimeout(timer);
    sent = false;
    button.textContent = label;
    button.classList.remove("busy");
    slow.textContent = "";
  });
}

// The tabs of this browser tell each other that an address is verified.
const tabs = "BroadcastChannel" in window ? new BroadcastChannel("verifier") : null;

function followMail(box) {
  const shortest = 2000, longest = 10000, once_settled = 30000;
  const line = box.querySelector(".mail"), leadsOn = box.querySelector(".leads-on");
  const field = document.getElementById("code");
  let gap = shortest, settled = box.dataset.settled === "yes", over = false, timer = 0, asking = false;

  // A GET, never a reload: this may be the answer to a form, and reloading that would send it once more.
  const leave = () => location.assign(box.dataset.page);

  function show(answer) {
    // What somebody has typed is never taken away from them.
    if (!answer.pending && !field.value) return leave();
    over = !answer.pending;
    leadsOn.hidden = !over;
    settled = answer.settled;
    // Screen readers speak what changes, so only a change is written.
    if (line.textContent !== answer.sentence) {
      line.textContent = answer.sentence;
      gap = shortest;
    }
    line.className = "mail " + answer.tone;
    if (over) return;
    document.getElementById("sending").hidden = answer.tone === "good";
    document.getElementById("sent").hidden = answer.tone !== "good";
  }

  async function ask() {
    if (asking || over) return;
    asking = true;
    try {
      const response = await fetch(box.dataset.url, { cache: "no-store", signal: AbortSignal.timeout(20000) });
      if (response.headers.get("Content-Type")?.startsWith("application/json")) show(await response.json());
    } catch {
      // The network is away: the next turn asks again, later.
    }
    asking = false;
    gap = Math.min(longest, gap * 1.25);
    plan(settled ? once_settled : gap);
  }

  function plan(wait) {
    clearTimeout(timer);
    if (!over && !document.hidden) timer = setTimeout(ask, wait * (0.85 + Math.random() * 0.3));
  }

  document.addEventListener("visibilitychange", () => {
    gap = shortest;
    plan(shortest);
  });
  tabs?.addEventListener("message", (event) => { if (event.data === box.dataset.page) ask(); });
  // Once the code has expired, the page is out of date, also with the mail long sent.
  setTimeout(ask, (Number(box.dataset.expiresIn) + 1) * 1000);
  plan(settled ? once_settled : gap);
}

// "Your code: 308614" pasted: the field takes the code. Without a script the service finds it in what was pasted.
function takeCodeOut(field) {
  const run = new RegExp(`(?<![0-9A-Za-z\\p{Nd}])\\p{Nd}{${field.dataset.digits}}(?![A-Za-z\\p{Nd}])`, "gu");
  field.addEventListener("paste", (event) => {
    const found = new Set(event.clipboardData.getData("text").match(run));
    if (found.size !== 1) return;
    event.preventDefault();
    [field.value] = found;
  });
}

function countDown(button) {
  const words = document.getElementById("resend-words");
  const seconds = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "second", unitDisplay: "long" });
  const endsAt = Date.now() + Number(button.dataset.wait) * 1000;
  function tick() {
    const left = Math.ceil((endsAt - Date.now()) / 1000);
    button.disabled = left > 0;
    words.textContent = left > 0 ? words.dataset.words.replace("{span}", seconds.format(left)) : "";
    if (left > 0) setTimeout(tick, 500);
  }
  tick();
}

function sendItselfAgain(form) {
  const words = document.getElementById("resubmit-words");
  let left = Number(form.dataset.resubmitAfter);
  function tick() {
    if (left <= 0) return form.requestSubmit();
    words.textContent = words.dataset.words;
    left -= 1;
    setTimeout(tick, 1000);
  }
  tick();
}

// The link in the mail has the code behind the #, which no request carries. Nothing is sent before somebody presses the button.
function takeCodeOutOfAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code === null) return;
  history.replaceState(null, "", location.pathname);
  const field = document.getElementById("code");
  if (!field || field.value || !/^\d{1,10}$/.test(code)) return;
  field.value = code;
  field.form.querySelector("button[type=submit]").focus();
}

takeCodeOutOfAddress();
window.addEventListener("hashchange", takeCodeOutOfAddress);
if (document.getElementById("verified")) tabs?.postMessage(location.pathname);
const live = document.getElementById("live");
if (live) followMail(live);
const code = document.getElementById("code");
if (code) takeCodeOut(code);
const again = document.getElementById("resend");
if (again && Number(again.dataset.wait) > 0) countDown(again);
const waiting = document.querySelector("form[data-resubmit-after]");
if (waiting) sendItselfAgain(waiting);
