// SPDX-License-Identifier: Apache-2.0
// Fetches the page anew and puts the parts that have changed in the place of the old ones. Without it the page refreshes
// itself as a whole.
"use strict";
(() => {
  const period = 2000;
  const patience = 8000;
  const note = document.getElementById("live");
  let since = Date.now();

  function say(text, isStale) {
    if (note.textContent !== text) note.textContent = text;
    note.classList.toggle("stale", isStale);
  }

  // What has the focus, or was scrolled, stays so: children are replaced, their frames are not.
  function replace(old, fresh) {
    if (old.innerHTML === fresh.innerHTML) return;
    const scrolled = Array.from(old.querySelectorAll(".scroll"), (part) => [part.scrollLeft, part.scrollTop]);
    const regions = Array.from(old.querySelectorAll("[tabindex]"));
    const focused = regions.indexOf(document.activeElement);
    old.replaceChildren(...Array.from(fresh.childNodes, (child) => document.importNode(child, true)));
    old.querySelectorAll(".scroll").forEach((part, index) => { part.scrollTo(...(scrolled[index] || [0, 0])); });
    if (focused >= 0) {
      const region = old.querySelectorAll("[tabindex]")[focused];
      if (region) region.focus({ preventScroll: true });
    }
  }

  async function refresh() {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(patience) });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh) replace(old, fresh);
    }
    document.title = page.title;
    since = Date.now();
  }

  async function step() {
    if (!document.hidden) {
      try {
        await refresh();
        say("· live", false);
      } catch {
        say("· no answer for " + Math.round((Date.now() - since) / 1000) + " s", true);
      }
    }
    setTimeout(step, period);
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh().catch(() => {}); });
  say("· live", false);
  setTimeout(step, period);
})();
