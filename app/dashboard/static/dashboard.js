// What a page does by itself above what it does without a script: nothing here is needed to read or act.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);

  // Updates: none for a hidden tab, none in a reader's way, and what was picked stays picked.
  const isBusy = () => {
    const at = document.activeElement;
    const live = byId("live");
    return document.hidden || String(getSelection()) !== "" ||
      (live && live.querySelector("details.confirm[open]") !== null) ||
      (live && live.contains(at) && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName) && at.type !== "checkbox");
  };
  const isPoll = (event) => event.detail.elt && event.detail.elt.id === "live";
  let kept = null;

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isPoll(event) && isBusy()) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isPoll(event)) return;
    const live = byId("live");
    kept = {
      picked: new Set([...live.querySelectorAll("input[type=checkbox]:checked")].map((one) => one.value)),
      open: [...live.querySelectorAll("details[open][id]")].map((one) => one.id),
      at: (live.querySelector("tr.at") || {}).id,
      scrolled: [...live.querySelectorAll("pre")].map((one) => one.scrollTop),
    };
  });
  document.addEventListener("htmx:afterSwap", () => {
    const live = byId("live");
    if (!live || !kept) return;
    live.querySelectorAll("input[type=checkbox]").forEach((one) => { one.checked = kept.picked.has(one.value); });
    kept.open.map(byId).filter(Boolean).forEach((one) => { one.open = true; });
    if (kept.at && byId(kept.at)) byId(kept.at).classList.add("at");
    live.querySelectorAll("pre").forEach((one, number) => { one.scrollTop = kept.scrolled[number] || 0; });
    kept = null;
    stale(false);
    prepare();
  });
  // A page that is left breaks off what it asks for: no failure, of which htmx would complain. It has
  // to hear of it all the same, as what is left for may be a file, and the page stays.
  const quietly = (end) => () => {
    const { error } = console;
    console.error = () => {};
    try { end(); } finally { console.error = error; }
  };
  const asked = new Set();
  document.addEventListener("htmx:beforeSend", (event) => asked.add(event.detail.xhr));
  document.addEventListener("htmx:afterRequest", (event) => asked.delete(event.detail.xhr));
  addEventListener("beforeunload", () => asked.forEach((xhr) => { xhr.onerror = xhr.onabort = quietly(xhr.onabort); }));
  const stale = (is) => { if (byId("stale")) byId("stale").hidden = !is; };
  document.addEventListener("htmx:sendError", () => stale(true));
  document.addEventListener("htmx:responseError", () => stale(true));
  document.addEventListener("visibilitychange", () => {
    const live = byId("live");
    if (!document.hidden && live && live.hasAttribute("hx-get")) htmx.ajax("GET", live.getAttribute("hx-get"), { source: live, select: "#live", swap: "outerHTML", target: live });
  });

  // The filter line: what may come next, by arrows and Enter or a click.
  const options = () => [...byId("suggestions").children];
  const chosen = () => options().find((one) => one.getAttribute("aria-selected") === "true");
  const showOptions = (is) => {
    const line = byId("line");
    byId("suggestions").hidden = !(is && options().length);
    line.setAttribute("aria-expanded", String(!byId("suggestions").hidden));
    if (!is) line.removeAttribute("aria-activedescendant");
  };
  const choose = (one) => {
    options().forEach((other) => other.setAttribute("aria-selected", String(other === one)));
    byId("line").setAttribute("aria-activedescendant", one.id);
    one.scrollIntoView({ block: "nearest" });
  };
  const take = (one) => {
    byId("line").value = one.dataset.line;
    showOptions(false);
    byId("line").focus();
    byId("line").dispatchEvent(new Event("input", { bubbles: true }));
  };
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "suggestions") showOptions(document.activeElement === byId("line"));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "line" || byId("suggestions").hidden) return;
    const all = options();
    const at = all.indexOf(chosen());
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) choose(all[(at + by + all.length + (at < 0 && by < 0 ? 1 : 0)) % all.length]);
    else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) take(all[at]);
    else if (event.key === "Escape") showOptions(false);
    else return;
    event.preventDefault();
  });
  document.addEventListener("mousedown", (event) => {
    const one = event.target.closest("#suggestions li");
    if (one) { event.preventDefault(); take(one); }
  });
  document.addEventListener("focusout", (event) => { if (event.target.id === "line") showOptions(false); });

  // Selection
  const boxes = () => [...document.querySelectorAll(".pick input[type=checkbox]")];
  const count = () => {
    const picked = boxes().filter((one) => one.checked).length;
    document.querySelectorAll("[data-picked]").forEach((one) => { one.textContent = picked ? `${picked} selected` : ""; });
    document.querySelectorAll("[data-all]").forEach((one) => {
      one.checked = picked > 0 && picked === boxes().length;
      one.indeterminate = picked > 0 && picked < boxes().length;
    });
  };
  const prepare = () => {
    document.querySelectorAll("[data-copy], [data-all], [data-all-label]").forEach((one) => { one.hidden = false; });
    count();
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) boxes().forEach((one) => { one.checked = event.target.checked; });
    if (event.target.matches("input[type=checkbox]")) count();
  });

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(byId(copy.dataset.copy).textContent).then(() => { copy.textContent = "Copied"; });
    }
    document.querySelectorAll("details.confirm[open]").forEach((one) => { if (!one.contains(event.target)) one.open = false; });
  });

  // Keys
  const rows = () => [...document.querySelectorAll("table.list tbody tr")];
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((one) => one.classList.contains("at"));
    const next = all[Math.max(0, Math.min(all.length - 1, now < 0 ? 0 : now + by))];
    all.forEach((one) => one.classList.toggle("at", one === next));
    const link = next.querySelector("a");
    if (link) link.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll("details.confirm[open]").forEach((one) => { one.open = false; one.querySelector("summary").focus(); });
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
    const at = document.querySelector("tr.at");
    const todo = {
      "/": () => document.querySelector(".find input").focus(),
      "j": () => move(1),
      "k": () => move(-1),
      "x": () => { const box = at && at.querySelector("input[type=checkbox]"); if (box) { box.checked = !box.checked; count(); } },
      "?": () => { const keys = byId("keys"); if (keys.open) keys.close(); else keys.showModal(); },
    }[event.key];
    if (todo) { event.preventDefault(); todo(); }
  });

  document.addEventListener("DOMContentLoaded", prepare);
})();
