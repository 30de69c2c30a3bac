"use strict";
(() => {
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      document.getElementById(button.dataset.target).classList.toggle(button.dataset.toggle, !on);
    });
  }

  // A lesion or a slice moves the viewer there.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-goto]");
    if (!button) return;
    const detail = button.dataset.goto.split(",").map(Number);
    document.dispatchEvent(new CustomEvent("flairline:goto", { detail }));
    for (const row of document.querySelectorAll("tr.here")) row.classList.remove("here");
    button.closest("tr")?.classList.add("here");
    document.getElementById("viewer")?.scrollIntoView({ block: "start" });
  });

  // Text to the clipboard, or selected where the browser keeps it from pages of files.
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const from = document.getElementById(button.dataset.copy);
      const status = document.getElementById(`${button.dataset.copy}-status`);
      getSelection().selectAllChildren(from);
      try {
        await navigator.clipboard.writeText(from.textContent);
        status.textContent = "Copied.";
      } catch {
        status.textContent = "Selected; copy it with the keyboard.";
      }
    });
  }

  // Scan and atlas, one over the other.
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

  // The viewer's script lies gzipped in the page.
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
