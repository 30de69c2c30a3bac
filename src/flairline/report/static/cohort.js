"use strict";
(() => {
  const table = document.getElementById("cohort-table");
  if (!table) return;
  const body = table.tBodies[0];
  // Rows of HTML, or, where they are very many, a list of which only those that are looked at become rows.
  const listed = document.getElementById("cohort-rows");
  const STEP = 500;
  let rows = listed
    ? listed.table.rows.map(([, , text, flagged, cells], i) => ({ holder: listed.holders[i], text, flagged: flagged === 1, cells }))
    : [...body.rows].map((row) => ({ holder: row, text: row.dataset.text, flagged: row.dataset.flagged === "1" }));
  const words = document.getElementById("filter-text");
  const flagged = document.getElementById("filter-flagged");
  const verdict = document.getElementById("filter-verdict");
  const count = document.getElementById("filter-count");
  const told = document.getElementById("verdict-count");

  const more = document.getElementById("show-all");
  let atOnce = Number(more.dataset.atOnce);

  function filter() {
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    const first = [];
    for (const entry of rows) {
      const said = entry.holder.dataset.verdictNow ?? "";
      const fits = entry.text.includes(wanted) && (!flagged.checked || entry.flagged) &&
        (verdict.value === "any" || said === verdict.value);
      if (fits) shown++;
      // Rows that are not laid out cost nothing; whoever wants them all says so once.
      if (listed) { if (fits && shown <= atOnce) first.push(entry); } else entry.holder.hidden = !fits || shown > atOnce;
    }
    if (listed) layOut(first);
    more.hidden = shown <= atOnce;
    more.textContent = listed ? `Show ${Math.min(STEP, shown - atOnce)} more of ${shown} rows` : `Show all ${shown} rows`;
    count.textContent = `${shown} of ${rows.length} scans`;
  }

  function layOut(entries) {
    for (const row of body.rows) row.holder.shown = null;
    body.replaceChildren(...entries.map(rowOf));
    for (const { holder } of entries) listed.show(holder);
  }

  function rowOf({ holder, flagged: isFlagged, cells }) {
    const row = document.getElementById("cohort-row").content.firstElementChild.cloneNode(true);
    const say = row.firstElementChild;
    [...table.tHead.rows[0].cells].slice(0, -1).forEach((head, column) => {
      const cell = document.createElement("td"), [text, more_] = cells[column];
      if (head.classList.contains("n")) { cell.className = "n"; cell.textContent = text; }
      else if (more_) { const link = document.createElement("a"); link.href = more_; link.textContent = text; cell.append(link); }
      else cell.textContent = text;
      row.insertBefore(cell, say);
    });
    row.classList.toggle("flagged", isFlagged);
    row.dataset.scan = holder.dataset.scan;
    row.dataset.subject = holder.dataset.subject;
    for (const button of say.querySelectorAll("button")) button.setAttribute("aria-label", `${button.textContent}: ${cells[0][0]}`);
    say.querySelector("input").setAttribute("aria-label", `Note on ${cells[0][0]}`);
    row.holder = holder;
    holder.shown = row;
    return row;
  }

  function sort(button) {
    const head = button.closest("th");
    const column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numbers = head.classList.contains("n");
    const value = (entry) => {
      if (listed) {
        const [text, number] = entry.cells[column];
        return numbers ? (number === "" ? NaN : Number(number)) : text;
      }
      const cell = entry.holder.cells[column], text = cell.dataset.v ?? cell.textContent;
      return numbers ? (text === "" ? NaN : Number(text)) : text;
    };
    const keyed = rows.map((entry) => [value(entry), entry]);
    const letters = new Intl.Collator(undefined, { numeric: true });
    keyed.sort(([a], [b]) => {
      if (!numbers) return (up ? 1 : -1) * letters.compare(a, b);
      // What is undefined stays last either way.
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return up ? a - b : b - a;
    });
    rows = keyed.map(([, entry]) => entry);
    filter();
    if (!listed) body.append(...rows.map(({ holder }) => holder));
  }

  let waiting = 0;
  const counted = () => {
    const said = rows.filter(({ holder }) => holder.dataset.verdictNow).length;
    told.textContent = `${said} of ${rows.length} have a verdict`;
    if (verdict.value !== "any") filter();
  };
  document.addEventListener("flairline:verdict", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(counted); });
  for (const control of [words, flagged, verdict]) control.addEventListener("input", filter);
  more.addEventListener("click", () => { atOnce = listed ? atOnce + STEP : Infinity; filter(); });
  table.tHead.addEventListener("click", (event) => { const b = event.target.closest("button"); if (b) sort(b); });

  // J and K (or the arrows) go from row to row, Enter opens the page; Shift+P, F, A are in page.js.
  table.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    const row = event.target.closest("tbody tr");
    const down = event.key === "ArrowDown" || event.key === "j", up = event.key === "ArrowUp" || event.key === "k";
    if (row && (down || up)) {
      let next = row;
      do next = down ? next.nextElementSibling : next.previousElementSibling; while (next?.hidden);
      if (next) { event.preventDefault(); next.focus(); next.scrollIntoView({ block: "nearest" }); }
    } else if (row && event.key === "Enter" && event.target === row) row.querySelector("a")?.click();
    else if (row && event.key === "n" && event.target === row) { event.preventDefault(); row.querySelector("input")?.focus(); }
  });
  filter();
  counted();
})();
