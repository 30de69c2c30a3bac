"use strict";
(() => {
  // ---- Verdicts: kept in this browser, or by `flairline serve` where it serves the page. ----
  const KEY = "flairline.verdict.";
  const WHERE = "/-/verdicts";
  const served = location.protocol === "http:";
  // A large cohort's rows are a list: each has a holder without an element, and `shown` while it is laid out.
  const listed = document.getElementById("cohort-rows");
  const nothing = { querySelectorAll: () => [], querySelector: () => null };
  if (listed) {
    listed.table = JSON.parse(listed.textContent);
    listed.holders = listed.table.rows.map(([scan, subject, , , , given, note, at]) => ({
      dataset: { scan, subject, ...(at ? { given, note, at } : {}) }, isListed: true, shown: null,
    }));
  }
  const holders = listed ? listed.holders : [...document.querySelectorAll("[data-scan]")];
  const holderOf = (element) => element?.closest?.("[data-scan]")?.holder ?? element?.closest?.("[data-scan]");
  const status = document.querySelector("[data-status]");
  const say = (text) => { if (status) status.textContent = text; };

  function kept(holder) {
    const own = holder.dataset;
    const given = own.at ? { verdict: own.given ?? "", note: own.note ?? "", at: own.at } : null;
    let local = null;
    try { local = JSON.parse(localStorage.getItem(KEY + own.scan)); } catch { /* no storage, or not ours */ }
    if (local && (!given || String(local.at) >= given.at)) return local;
    return given;
  }

  function show(holder, entry) {
    const verdict = entry?.verdict ?? "";
    holder.dataset.verdictNow = verdict;
    const element = holder.isListed ? holder.shown ?? nothing : holder;
    for (const button of element.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
    const note = element.querySelector("[data-note-field]");
    if (note && note !== document.activeElement) note.value = entry?.note ?? "";
  }
  if (listed) listed.show = (holder) => show(holder, kept(holder));

  function paint(holder, entry) {
    show(holder, entry);
    document.dispatchEvent(new CustomEvent("flairline:verdict"));
  }

  function change(holder, fields) {
    const entry = { verdict: "", note: "", ...kept(holder), ...fields };
    entry.subject = holder.dataset.subject;
    entry.at = new Date().toISOString();
    try { localStorage.setItem(KEY + holder.dataset.scan, JSON.stringify(entry)); } catch { say("This browser keeps nothing; save as JSON."); }
    // One scan may have a row for each of several methods; they share its verdict.
    for (const other of holders) if (other.dataset.scan === holder.dataset.scan) paint(other, entry);
    if (!served) { say("Kept in this browser."); return; }
    const body = JSON.stringify({ subject: entry.subject, scan_id: holder.dataset.scan, ...fields });
    fetch(WHERE, { method: "POST", headers: { "Content-Type": "application/json" }, body })
      .then((answer) => say(answer.ok ? "Saved." : `Not saved: the server said ${answer.status}.`))
      .catch(() => say("Not saved: the server does not answer. It is kept in this browser."));
  }

  function choose(holder, verdict) {
    change(holder, { verdict: holder.dataset.verdictNow === verdict ? "" : verdict });
  }

  for (const holder of holders) paint(holder, kept(holder));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-verdict]");
    if (button) choose(holderOf(button), button.dataset.verdict);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-note-field]")) change(holderOf(event.target), { note: event.target.value });
  });
  addEventListener("storage", (event) => {
    for (const holder of holders) if (event.key === KEY + holder.dataset.scan) paint(holder, kept(holder));
  });
  if (served && holders.length) {
    fetch(WHERE).then((answer) => answer.json()).then((document_) => {
      for (const holder of holders) {
        const entry = document_.verdicts?.[holder.dataset.subject];
        if (!entry) continue;
        try { localStorage.setItem(KEY + holder.dataset.scan, JSON.stringify(entry)); } catch { /* shown all the same */ }
        paint(holder, entry);
      }
    }).catch(() => say("The server does not answer; verdicts are kept in this browser."));
  }

  const typing = (target) => target.matches?.("input:not([type=range]):not([type=checkbox]), textarea, select");
  const LETTERS = { P: "pass", F: "fail", A: "artefact" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
    if (!event.shiftKey || !LETTERS[event.key]) return;
    const holder = holders.length === 1 ? holders[0] : holderOf(document.activeElement);
    if (!holder) return;
    event.preventDefault();
    choose(holder, LETTERS[event.key]);
  });

  function all() {
    const verdicts = {};
    for (const holder of holders) {
      const entry = kept(holder);
      if (!entry || (!entry.verdict && !entry.note)) continue;
      const { verdict, note, at } = entry;
      verdicts[holder.dataset.subject] = { scan_id: holder.dataset.scan, verdict, note, at };
    }
    return verdicts;
  }
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => {
      const text = JSON.stringify({ format: "flairline-verdicts-1", verdicts: all() }, null, 2);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      link.download = "verdicts.json";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  // ---- Switches, clipboard, flicker ----
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      document.getElementById(button.dataset.target).classList.toggle(button.dataset.toggle, !on);
    });
  }

  // Text to the clipboard, or selected where the browser keeps it from pages of files.
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const from = document.getElementById(button.dataset.copy);
      const told = document.getElementById(`${button.dataset.copy}-status`);
      getSelection().selectAllChildren(from);
      try {
        await navigator.clipboard.writeText(from.textContent);
        told.textContent = "Copied.";
      } catch {
        told.textContent = "Selected; copy it with the keyboard.";
      }
    });
  }

  const blend = document.getElementById("flicker-blend");
  if (blend) {
    const planes = document.getElementById("flicker"), toggle = document.getElementById("flicker-toggle");
    let timer = 0;
    const show = (percent) => planes.style.setProperty("--blend", percent / 100);
    const stop = () => { clearInterval(timer); timer = 0; toggle.setAttribute("aria-pressed", "false"); };
    blend.addEventListener("input", () => { stop(); show(blend.value); });
    toggle.addEventListener("click", () => {
      if (timer) { stop(); show(blend.value); return; }
      toggle.setAttribute("aria-pressed", "true");
      let atlas = false;
      timer = setInterval(() => { atlas = !atlas; show(atlas ? 100 : 0); }, 600);
    });
  }

  // ---- A lesion or a slice moves the viewer there; its script lies gzipped in the page. ----
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-goto]");
    if (!button) return;
    const detail = button.dataset.goto.split(",").map(Number);
    document.dispatchEvent(new CustomEvent("flairline:goto", { detail }));
    for (const row of document.querySelectorAll("tr.here")) row.classList.remove("here");
    button.closest("tr")?.classList.add("here");
    document.getElementById("viewer")?.scrollIntoView({ block: "start" });
  });
  const packed = document.getElementById("viewer-code");
  if (packed) {
    const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    new Response(stream).text().then((text) => {
      const script = document.createElement("script");
      script.textContent = text;
      document.head.append(script);
    });
  }
})();
