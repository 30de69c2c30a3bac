"use strict";
(() => {
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      document.getElementById(button.dataset.target).classList.toggle(button.dataset.toggle, !on);
    });
  }
})();
