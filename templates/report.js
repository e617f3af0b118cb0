// The subgroup table: sort, filter, 100 rows at a time. Everything is drawn as text; nothing is fetched.
(function () {
  "use strict";
  const source = document.getElementById("subgroup-data");
  const table = document.getElementById("subgroup-table");
  if (!source || !table) return;
  const data = JSON.parse(source.textContent);
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const last = heads[heads.length - 1].textContent;
  const form = document.getElementById("subgroup-controls");
  const status = document.getElementById("subgroup-status");
  const pages = document.getElementById("subgroup-pages");
  const [previous, next] = pages.querySelectorAll("button");
  const fields = form.elements;
  // A row is [items, redundant, state, gap, values...]; its place in the list is its rank.
  const ITEMS = 0, REDUNDANT = 1, STATE = 2, GAP = 3, VALUES = 4;
  const view = { outcome: 0, column: -1, descending: false, page: 0 };
  const names = data.items.map(([attribute, level]) => data.attributes[attribute] + " = " + level);

  function fixed(value, digits, signed) {
    if (value === null) return "–";
    const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    if (value === 0) return text;
    return (value < 0 ? "−" : signed ? "+" : "") + text;
  }

  function print(kind, value, digits) {
    if (kind === "count") return value.toLocaleString("en");
    if (kind === "interval") return value === null ? "–" : fixed(value[0], digits, true) + " to " + fixed(value[1], digits, true);
    if (kind === "p") return value === null ? "–" : value < 0.001 ? "<0.001" : value.toFixed(3);
    return fixed(value, digits, kind === "signed");
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function subgroup(items) {
    const list = element("span", undefined, "items");
    items.forEach((code, index) => {
      const [attribute, level] = data.items[code];
      const item = element("span", undefined, "item");
      item.append(element("bdi", data.attributes[attribute]), element("span", " = ", "eq"), element("bdi", level, "level"));
      if (index) list.append(" ");
      list.append(item);
    });
    return list;
  }

  function draw(row, digits) {
    const line = document.createElement("tr");
    const head = element("th");
    head.scope = "row";
    head.append(subgroup(row[ITEMS]));
    line.append(head);
    data.columns.forEach((column, index) => {
      const cell = element("td", undefined, "number");
      cell.dataset.title = column.title;
      cell.append(element("bdi", print(column.kind, row[VALUES + index], digits)));
      line.append(cell);
    });
    const [main, template] = data.states[row[STATE]];
    const standing = element("td");
    standing.dataset.title = last;
    standing.append(element("bdi", main));
    if (template) {
      const small = element("small");
      small.append(element("bdi", template.replace("{}", fixed(row[GAP], digits, false))));
      standing.append(small);
    }
    line.append(standing);
    return line;
  }

  function key(row) {
    if (view.column === 0) return row[ITEMS].map((code) => names[code]).join(", ");
    if (view.column === heads.length - 1) return data.states[row[STATE]][0];
    const value = row[VALUES + view.column - 1];
    return Array.isArray(value) ? value[0] : value;
  }

  function compare(a, b) {
    const [x, y] = [a.key, b.key];
    // Rows without a value stay last, whichever way the column is sorted.
    if (x === null || y === null) return (x === null) - (y === null) || a.rank - b.rank;
    const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    return (view.descending ? -order : order) || a.rank - b.rank;
  }

  function chosen() {
    const attribute = fields.attribute.value, state = fields.state.value;
    const words = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    data.outcomes[view.outcome].rows.forEach((row, rank) => {
      if (row[REDUNDANT] && !fields.redundant.checked) return;
      if (state && data.states[row[STATE]][0] !== state) return;
      if (attribute && !row[ITEMS].some((code) => String(data.items[code][0]) === attribute)) return;
      if (words.length) {
        const text = row[ITEMS].map((code) => names[code]).join(", ").toLowerCase();
        if (!words.every((word) => text.includes(word))) return;
      }
      found.push({ row: row, rank: rank, key: view.column < 0 ? rank : key(row) });
    });
    if (view.column >= 0) found.sort(compare);
    return found;
  }

  function update() {
    const found = chosen(), size = data.pageRows, digits = data.outcomes[view.outcome].digits;
    const end = Math.max(0, Math.ceil(found.length / size) - 1);
    view.page = Math.min(view.page, end);
    const start = view.page * size;
    const shown = found.slice(start, start + size);
    body.replaceChildren(...shown.map((entry) => draw(entry.row, digits)));
    status.textContent = found.length
      ? "Rows " + (start + 1) + " to " + (start + shown.length) + " of " + found.length.toLocaleString("en")
      : "No subgroup fits the filter.";
    pages.hidden = end === 0;
    previous.disabled = view.page === 0;
    next.disabled = view.page === end;
    document.getElementById("subgroup-box").scrollTop = 0;
    heads.forEach((head, index) => {
      if (index === view.column) head.setAttribute("aria-sort", view.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  function sortBy(index) {
    view.descending = view.column === index && !view.descending;
    view.column = index;
    view.page = 0;
    update();
  }

  function offer(select, values) {
    values.forEach(([value, text]) => {
      const option = element("option", text);
      option.value = value;
      select.append(option);
    });
  }

  heads.forEach((head, index) => {
    const button = element("button", head.textContent);
    button.type = "button";
    button.addEventListener("click", () => sortBy(index));
    head.replaceChildren(button);
  });
  offer(fields.attribute, data.attributes.map((name, index) => [String(index), name]));
  // "Not significant" says nothing alone: what remains possible stands with it, here as in the rows.
  const states = new Map(data.states.map(([main, template]) => [main, main + (template.includes("{}") ? " (" + template.replace("{}", "…") + ")" : "")]));
  offer(fields.state, Array.from(states));
  offer(fields.outcome, data.outcomes.map((outcome, index) => [String(index), outcome.title]));
  document.getElementById("outcome-choice").hidden = data.outcomes.length < 2;
  document.getElementById("redundant-choice").hidden = !data.outcomes.some((outcome) => outcome.rows.some((row) => row[REDUNDANT]));
  form.hidden = false;
  form.addEventListener("input", () => {
    view.outcome = Number(fields.outcome.value);
    view.page = 0;
    update();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  fields.clear.addEventListener("click", () => {
    form.reset();
    Object.assign(view, { outcome: 0, column: -1, descending: false, page: 0 });
    update();
  });
  previous.addEventListener("click", () => { view.page -= 1; update(); });
  next.addEventListener("click", () => { view.page += 1; update(); });
  update();

  // Paper cannot unfold anything.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    folded.forEach((entry) => { entry.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((entry) => { entry.open = false; }));
})();
