// What is open is made ready for use; then what the address asks for is opened and shown.
const DRAWN = { "subgroup-table": subgroupTable, "case-table": caseTable };

function dress(root) {
  const each = (selector, ready) => root.querySelectorAll(selector + ":not([data-ready])").forEach((node) => {
    if (closedAround(node).length) return;
    node.dataset.ready = "";
    ready(node);
  });
  each("[data-case]", dressCase);
  each("table[data-table]", (table) => (DRAWN[table.id] || behave)(table));
  each("figure[data-figure]", dressFigure);
  each("figure.cut", dressSlice);
  explain(root);
}

address.read();
everything?.removeAttribute("hidden");
dress(document.body);
new Set(Array.from(address.asked.keys(), (name) => name.slice(0, name.lastIndexOf(".")))).forEach((name) => {
  const holder = tables.has(name) ? null : Array.from(document.querySelectorAll("details > noscript"))
    .find((waiting) => waiting.textContent.includes(' data-table="' + name + '"'))?.parentElement;
  if (holder) [...closedAround(holder), holder].forEach(open);
});
reveal(address.anchor);
