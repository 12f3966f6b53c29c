/* Keys, text in its proper dress, and the time a page was looked at. Everything else is the server's: this script
   presses the buttons that are on the page, so whatever a key does a click does too. */
"use strict";
(() => {
  let busy = false; // a decision is on its way: a second key would judge an item that is not on the screen yet
  let looked = 0;
  let since = document.hidden ? null : performance.now();

  /** Give every text that is marked its dress: formulas, colours, or nothing but a frame. */
  function dress(root) {
    for (const at of root.querySelectorAll("[data-show]")) {
      const text = at.textContent;
      const made = at.dataset.show === "verbatim" ? show.verbatim(text, { class: "output" }) : show[at.dataset.show](text);
      for (const name of at.classList) made.classList.add(name);
      at.replaceWith(made);
    }
    for (const pre of root.querySelectorAll("pre")) {
      if (pre.scrollHeight > pre.clientHeight || pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
    }
  }

  function press(key) {
    const at = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
    if (at) at.click();
    return Boolean(at);
  }

  function focus(id) {
    const field = document.getElementById(id);
    if (!field) return false;
    field.focus();
    field.select();
    return true;
  }

  function help() {
    const dialog = document.getElementById("help");
    if (dialog.open) dialog.close();
    else dialog.showModal();
    return true;
  }

  const KEYS = { e: () => focus("answer"), n: () => focus("note"), "/": () => focus("filter"), "?": help };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (document.getElementById("help").open && event.key !== "?") return;
    if (busy) return event.preventDefault();
    const done = KEYS[event.key] ? KEYS[event.key]() : /^[a-z0-9]$/.test(event.key) && press(event.key);
    if (done) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) help();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden && since !== null) {
      looked += performance.now() - since;
      since = null;
    } else if (!document.hidden && since === null) since = performance.now();
  });
  const seconds = () => (looked + (since === null ? 0 : performance.now() - since)) / 1000;

  const changesPage = (event) => event.detail.ctx.target?.id === "page";
  document.addEventListener("htmx:config:request", (event) => {
    const body = event.detail.ctx.request.body;
    if (changesPage(event) && body?.has?.("seconds")) body.set("seconds", seconds().toFixed(3));
  });
  document.addEventListener("htmx:before:request", (event) => {
    if (changesPage(event)) busy = true;
  });
  document.addEventListener("htmx:finally:request", (event) => {
    busy = false;
  });
  document.addEventListener("htmx:error", () => {
    busy = false;
    document.getElementById("lost").hidden = false;
  });
  document.addEventListener("htmx:after:swap", (event) => {
    dress(document);
    if (!changesPage(event)) return;
    document.getElementById("lost").hidden = true;
    looked = 0;
    since = document.hidden ? null : performance.now();
    scrollTo(0, 0);
    document.querySelector("h1")?.focus({ preventScroll: true });
  });
  dress(document);
  document.addEventListener("DOMContentLoaded", () => (document.documentElement.dataset.ready = "")); // htmx has begun
})();
