"use strict";
(() => {
  const table = document.getElementById("cohort-table");
  if (!table) return;
  const body = table.tBodies[0];
  let rows = [...body.rows].map((row) => ({ row, text: row.dataset.text, flagged: row.dataset.flagged === "1" }));
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
    for (const { row, text, flagged: isFlagged } of rows) {
      const said = row.dataset.verdictNow ?? "";
      const fits = text.includes(wanted) && (!flagged.checked || isFlagged) &&
        (verdict.value === "any" || said === verdict.value);
      if (fits) shown++;
      // Rows that are not laid out cost nothing; whoever wants them all says so once.
      row.hidden = !fits || shown > atOnce;
    }
    more.hidden = shown <= atOnce;
    more.textContent = `Show all ${shown} rows`;
    count.textContent = `${shown} of ${rows.length} scans`;
  }

  function sort(button) {
    const head = button.closest("th");
    const column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numbers = head.classList.contains("n");
    const value = ({ row }) => {
      const text = row.cells[column].dataset.v ?? row.cells[column].textContent;
      return numbers ? (text === "" ? NaN : Number(text)) : text;
    };
    const keyed = rows.map((entry) => [value(entry), entry]);
    keyed.sort(([a], [b]) => {
      if (!numbers) return (up ? 1 : -1) * a.localeCompare(b, undefined, { numeric: true });
      // What is undefined stays last either way.
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return up ? a - b : b - a;
    });
    rows = keyed.map(([, entry]) => entry);
    filter();
    body.append(...rows.map(({ row }) => row));
  }

  let waiting = 0;
  const counted = () => {
    const said = rows.filter(({ row }) => row.dataset.verdictNow).length;
    told.textContent = `${said} of ${rows.length} have a verdict`;
    if (verdict.value !== "any") filter();
  };
  document.addEventListener("flairline:verdict", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(counted); });
  for (const control of [words, flagged, verdict]) control.addEventListener("input", filter);
  more.addEventListener("click", () => { atOnce = Infinity; filter(); });
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
