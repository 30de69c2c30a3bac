// What scrolls can be reached by keyboard: the theme says so of code only where a pointer hovers, and takes it back
// elsewhere. A button that copies is no landmark, and the theme makes one a block of them without a name.
const mend = () => {
  for (const element of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    if (element.scrollWidth > element.clientWidth && element.tabIndex !== 0) element.tabIndex = 0;
  }
  for (const buttons of document.querySelectorAll("nav.md-code__nav:not([role])")) buttons.setAttribute("role", "none");
};
new MutationObserver(mend).observe(document.body, {
  subtree: true,
  childList: true,
  attributes: true,
  attributeFilter: ["tabindex"],
});
addEventListener("resize", mend);
mend();
