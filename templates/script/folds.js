// Folded parts: made when they are opened, by hand, by a link, by the address, or all of them for print.
// Their markup waits as the text of a noscript element, so that a page without a script shows it as well.
function fill(fold) {
  const waiting = fold.querySelector(":scope > noscript");
  if (waiting) {
    const parsed = new DOMParser().parseFromString(waiting.textContent, "text/html");
    waiting.replaceWith(...parsed.body.childNodes);
  }
  dress(fold);
}

function open(fold) {
  fold.open = true;
  fill(fold);
}

function closedAround(node) {
  const found = [];
  for (let at = node.parentElement?.closest("details"); at; at = at.parentElement?.closest("details")) found.unshift(at);
  return found.filter((fold) => !fold.open);
}

function holderOf(id) {
  const wanted = ' id="' + id.replaceAll("&", "&amp;").replaceAll('"', "&#34;") + '"';
  return Array.from(document.querySelectorAll("details > noscript"))
    .find((waiting) => waiting.textContent.includes(wanted))?.parentElement;
}

// Opens whatever an element lies in, and a section that is one folded part.
function reveal(id) {
  if (!id) return;
  if (showCase(id)) return;
  const holder = document.getElementById(id) ? null : holderOf(id);
  if (holder) [...closedAround(holder), holder].forEach(open);
  const target = document.getElementById(id);
  if (!target) return;
  closedAround(target).forEach(open);
  const own = target.matches("details") ? target : target.querySelector(":scope > details.fold");
  if (own) open(own);
  target.scrollIntoView();
}

document.addEventListener("toggle", (event) => { if (event.target.open) fill(event.target); }, true);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#"]');
  if (!link) return;
  event.preventDefault();
  const anchor = plain(link.getAttribute("href").slice(1));
  // What the tables were asked stays in the address; "back" leads to where one came from.
  remember("pushState", "#" + encodeURIComponent(anchor));
  address.anchor = anchor;
  address.show();
  reveal(anchor);
  const target = document.getElementById(anchor);
  if (target && !target.matches("a, button, summary, input, [tabindex]")) target.tabIndex = -1;
  target?.focus({ preventScroll: true });
});
function arrive() {
  if (address.read()) tables.forEach((table) => table.restore());
  reveal(address.anchor);
}
addEventListener("hashchange", arrive);

// Paper shows what is open; the button opens everything for as long as it takes.
const everything = document.getElementById("print-all");
everything?.addEventListener("click", () => {
  const opened = [];
  // Lists of members stay closed: there is one in each row.
  for (let closed; (closed = document.querySelectorAll("details:not([open]):not(.members)")).length;) {
    closed.forEach((fold) => { open(fold); opened.push(fold); });
  }
  addEventListener("afterprint", () => opened.forEach((fold) => { fold.open = false; }), { once: true });
  print();
});
