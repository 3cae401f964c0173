"use strict";

// Asks for the page again every second, while somebody sees it, and changes what is shown to what
// comes back: only what differs, so that a selection, the focus and the scrolling stay.
const lost = document.getElementById("lost");
let answered = new Date();
let timer;

async function refresh() {
  try {
    const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    morph(document.querySelector("main"), page.querySelector("main"));
    document.title = page.title;
    answered = new Date();
    say("");
  } catch {
    document.title = "no answer";
    say(`The server does not answer. This is what it said at ${answered.toLocaleTimeString()}.`);
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, 1000);
}

function say(text) {
  if (lost.textContent !== text) lost.textContent = text;
  document.body.classList.toggle("stale", text !== "");
}

function morph(from, to) {
  if (from.nodeName !== to.nodeName) {
    from.replaceWith(to);
    return;
  }
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const name of from.getAttributeNames()) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  const [before, after] = [[...from.childNodes], [...to.childNodes]];
  after.forEach((node, index) => (index < before.length ? morph(before[index], node) : from.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
schedule();
