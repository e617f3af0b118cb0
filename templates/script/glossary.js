// The glossary at the page's end, at hand wherever one of its terms stands: on hover, on focus, or by its link.
const terms = new Map();
document.querySelectorAll("#glossary dt[data-words]").forEach((entry) => {
  entry.dataset.words.split("|").forEach((word) => terms.set(word, entry));
});
const escaped = Array.from(terms.keys()).sort((a, b) => b.length - a.length)
  .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
const TERM = terms.size ? new RegExp("(?<![\\p{L}\\p{N}_-])(" + escaped.join("|") + ")(?![\\p{L}\\p{N}_-])", "u") : null;
const UNMARKED = "a, button, code, svg, nav, header, dialog, #glossary, .items, .card, .pairs, details:not([open])";
const tip = element("div", undefined, "tip");
tip.id = "term-tip";
tip.setAttribute("role", "tooltip");

// Section -> the entries that are marked in it.
const marked = new WeakMap();

function isFirst(text, entry) {
  const section = text.parentElement.closest("section") || document.body;
  if (!marked.has(section)) marked.set(section, new Set());
  return !marked.get(section).has(entry) && marked.get(section).add(entry);
}

// The first time in a section that a term is used in running text, and wherever it heads a column.
function explain(root) {
  if (!TERM) return;
  root.querySelectorAll("th > button:not([data-term])").forEach((head) => {
    const found = head.textContent.match(TERM);
    if (found) head.dataset.term = terms.get(found[1]).id;
  });
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  texts.forEach((text) => {
    const around = text.parentElement;
    if (!around.closest("p, li, dt, figcaption") || around.closest(UNMARKED)) return;
    const found = text.data.match(TERM);
    if (!found || !isFirst(text, terms.get(found[1]))) return;
    const rest = text.splitText(found.index);
    rest.splitText(found[1].length);
    const link = element("a", found[1], "term");
    link.href = "#" + terms.get(found[1]).id;
    link.dataset.term = terms.get(found[1]).id;
    rest.replaceWith(link);
  });
}

function showTip(event) {
  const term = event.target.closest?.("[data-term]");
  if (!term) return;
  tip.textContent = document.getElementById(term.dataset.term).nextElementSibling.textContent;
  document.body.append(tip);
  term.setAttribute("aria-describedby", tip.id);
  const place = term.getBoundingClientRect(), room = document.documentElement.clientWidth;
  const left = Math.min(place.left, room - tip.offsetWidth - 8);
  const above = place.bottom + tip.offsetHeight + 8 > innerHeight && place.top > tip.offsetHeight;
  tip.style.left = Math.max(8, left) + scrollX + "px";
  tip.style.top = (above ? place.top - tip.offsetHeight : place.bottom) + scrollY + "px";
}

function hideTip(event) {
  // A tip stays while the pointer is on it, so that it can be read at leisure.
  if (event?.relatedTarget && (event.relatedTarget === tip || event.relatedTarget.closest?.("[data-term]"))) return;
  document.querySelectorAll("[aria-describedby='term-tip']").forEach((term) => term.removeAttribute("aria-describedby"));
  tip.remove();
}

["mouseover", "focusin"].forEach((kind) => document.addEventListener(kind, showTip));
["mouseout", "focusout"].forEach((kind) => document.addEventListener(kind, hideTip));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
