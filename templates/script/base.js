// What every part shares: elements, and what stands behind the "#" of the address.
// Everything is drawn as text; nothing is fetched.
function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function button(text, onClick, name) {
  const made = element("button", text);
  made.type = "button";
  if (name) made.setAttribute("aria-label", name);
  made.addEventListener("click", onClick);
  return made;
}

function slug(text) {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
}

// "#cases&levels-of-site.text=ab": where to go, then what each table was asked.
const address = {
  anchor: "",
  asked: new Map(),
  // Whether the address asks a table something; where it does not, what was asked before stays.
  read() {
    const [anchor, ...rest] = location.hash.slice(1).split("&");
    this.anchor = plain(anchor);
    const found = rest.filter((part) => part.includes("=")).map((part) => {
      const at = part.indexOf("=");
      return [plain(part.slice(0, at)), plain(part.slice(at + 1))];
    });
    if (found.length) this.asked = new Map(found);
    return found.length > 0;
  },
  get(table, field) {
    return this.asked.get(table + "." + field) || "";
  },
  set(table, values) {
    for (const [field, value] of Object.entries(values)) {
      if (value) this.asked.set(table + "." + field, String(value));
      else this.asked.delete(table + "." + field);
    }
    this.show();
  },
  show() {
    const parts = Array.from(this.asked, ([name, value]) => encodeURIComponent(name) + "=" + encodeURIComponent(value));
    const hash = "#" + [encodeURIComponent(this.anchor), ...parts].join("&");
    if (hash !== location.hash && (hash !== "#" || location.hash)) remember("replaceState", hash);
  },
};

// A page inside a frame of a notebook has no address of its own.
function remember(how, hash) {
  try {
    history[how](null, "", hash);
  } catch {
    // What is asked still holds while the page is open.
  }
}

function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
