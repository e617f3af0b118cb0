// Every table with data-table: sorted by any head, filtered, copied as CSV, a page of rows at a time.
// Its rows are those of the page, or what a `source` draws from data.
const tables = new Map();
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
// A table that one sees at a glance needs no filter.
const FILTERED_FROM = 6;
const PAGE_ROWS = 100;

// A printed number as others read it: a plain minus, no commas between thousands; a dash is no value.
function typed(text) {
  const found = text.trim().replace(/^−/, "-");
  const bare = found.replace(/%$/, "").replace(/,(?=\d{3})/g, "");
  return found === "–" ? "" : NUMBER.test(bare) ? found.replace(/,(?=\d{3})/g, "") : text.trim();
}

function sortKey(text, isNumber) {
  const value = typed(text);
  if (value === "") return null;
  if (!isNumber) return value;
  const [, side, first] = value.replaceAll("−", "-").match(/^(<|under |over )?([+-]?[\d.]+)/) || [];
  // "under 1 %" is between nothing and that, "over 99 %" between that and all.
  return first === undefined ? value : side === "over " ? Number(first) + 0.5 : side ? Number(first) / 2 : Number(first);
}

// A text that a spreadsheet would run as a formula gets an apostrophe, as in the files that segfair writes.
function csvCell(text) {
  const inert = /^[=+\-@\t\r\n]/.test(text) && !NUMBER.test(text) ? "'" + text : text;
  return /[",\r\n]/.test(inert) ? '"' + inert.replaceAll('"', '""') + '"' : inert;
}

// Main line and second line of a cell, without what is there for the eye or the hand only.
function linesOf(cell) {
  const parts = Array.from(cell.childNodes).filter((node) => !node.matches?.("[aria-hidden], .aside, .members"));
  const text = (wanted) => parts.filter((node) => (node.nodeName === "SMALL") === wanted)
    .map((node) => node.textContent).join(" ").replace(/\s+/g, " ").trim();
  return [text(false), text(true)];
}

function rowsOf(table, numeric) {
  return Array.from(table.tBodies[0].rows, (line) => {
    const lines = Array.from(line.cells, linesOf);
    return {
      text: lines.flat().join(" ").toLowerCase(),
      key: (column) => sortKey(lines[column][0], numeric[column]),
      lines: () => lines,
      draw: () => line,
    };
  });
}

function behave(table, source) {
  const caption = table.caption?.textContent.trim() || table.getAttribute("aria-label") || "Table";
  const heads = Array.from(table.tHead.rows[0].cells);
  const titles = heads.map((head) => head.textContent.trim());
  const numeric = heads.map((head) => head.classList.contains("number"));
  const name = tables.has(table.dataset.table) ? table.dataset.table + "-" + (tables.size + 1) : table.dataset.table;
  const size = source?.pageRows || PAGE_ROWS;
  const view = { text: "", column: -1, descending: false, page: 0 };
  const status = element("span", undefined, "note");
  const own = rowsOf(table, numeric);
  const rows = () => (source ? source.rows() : own);
  const tools = element("div", undefined, "tools");
  const search = source?.search || element("input");
  const order = element("select");
  const turn = element("div", undefined, "pages");
  const previous = button("Previous", () => { view.page -= 1; draw(); });
  const next = button("Next", () => { view.page += 1; draw(); });

  function chosen() {
    const words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows().map((row, rank) => ({ row, rank })).filter(({ row }) =>
      (!source?.accepts || source.accepts(row)) && words.every((word) => row.text.includes(word)));
    if (view.column < 0) return found.map(({ row }) => row);
    found.forEach((entry) => { entry.key = entry.row.key(view.column); });
    return found.sort(inOrder).map(({ row }) => row);
  }

  function inOrder(a, b) {
    const [x, y] = [a.key, b.key];
    // Rows without a value stay last, whichever way the column is sorted.
    if (x === null || y === null) return (x === null) - (y === null) || a.rank - b.rank;
    const found = typeof x === "number" && typeof y === "number"
      ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
    return (view.descending ? -found : found) || a.rank - b.rank;
  }

  function draw() {
    const found = chosen(), end = Math.max(0, Math.ceil(found.length / size) - 1);
    view.page = Math.min(view.page, end);
    const start = view.page * size, shown = found.slice(start, start + size);
    table.tBodies[0].replaceChildren(...shown.map((row) => row.draw()));
    dress(table.tBodies[0]);
    const all = rows().length;
    status.textContent = !found.length ? "No row fits the filter."
      : end > 0 || source ? "Rows " + (start + 1) + " to " + (start + shown.length) + " of " + found.length.toLocaleString("en")
      : found.length < all ? found.length + " of " + all + " rows" : "";
    turn.hidden = end === 0;
    previous.disabled = view.page === 0;
    next.disabled = view.page === end;
    heads.forEach((head, index) => {
      if (index === view.column) head.setAttribute("aria-sort", view.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    order.value = view.column < 0 ? "" : view.column + (view.descending ? "d" : "");
  }

  // Drawn again from the first page, and remembered in the address.
  function ask(change) {
    Object.assign(view, change, { page: 0 });
    draw();
    address.set(name, { text: view.text, sort: view.column < 0 ? "" : view.column + (view.descending ? "d" : ""),
      ...source?.remembered?.() });
  }

  function restore() {
    const [, column, descending] = address.get(name, "sort").match(/^(\d+)(d?)$/) || [];
    const known = column !== undefined && Number(column) < heads.length;
    Object.assign(view, { text: address.get(name, "text"), column: known ? Number(column) : -1,
      descending: Boolean(descending), page: 0 });
    search.value = view.text;
    source?.restore?.((field) => address.get(name, field));
    draw();
  }

  async function copy() {
    const found = chosen().map((row) => row.lines());
    const second = titles.map((_, column) => found.some((lines) => lines[column][1]));
    const line = (lines) => lines.flatMap(([main, small], column) => {
      const cells = [numeric[column] ? typed(main) : main];
      return second[column] ? [...cells, small] : cells;
    }).map(csvCell).join(",");
    const text = [line(titles.map((title) => [title, title + ", details"])), ...found.map(line)].join("\n") + "\n";
    const done = await copied(text);
    status.textContent = done ? "Copied " + found.length.toLocaleString("en") + " rows." : "This browser does not let a page copy.";
  }

  // A clipboard needs a browser's leave; the older way needs none.
  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const field = element("textarea", text, "unseen");
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      return done;
    }
  }

  heads.forEach((head, index) => {
    if (!titles[index] || (!source && own.length < 2)) return;
    const sort = button(undefined, () => ask({ column: index, descending: view.column === index && !view.descending }));
    sort.append(...head.childNodes);
    head.replaceChildren(sort);
  });
  order.setAttribute("aria-label", "Order: " + caption);
  order.className = "order";
  [["", "Order"], ...titles.flatMap((title, index) => title
    ? [[String(index), title + ", rising"], [index + "d", title + ", falling"]] : [])].forEach(([value, text]) => {
    const option = element("option", text);
    option.value = value;
    order.append(option);
  });
  order.addEventListener("change", () => {
    const [, column, descending] = order.value.match(/^(\d+)(d?)$/) || ["", "-1", ""];
    ask({ column: Number(column), descending: Boolean(descending) });
  });
  status.setAttribute("role", "status");
  if (!source?.search) Object.assign(search, { type: "search", placeholder: "Filter", autocomplete: "off", spellcheck: false });
  if (!source?.search) search.setAttribute("aria-label", "Filter: " + caption);
  search.addEventListener("input", () => ask({ text: search.value }));
  turn.append(previous, " ", next);
  tools.append(...(!source?.search && own.length >= FILTERED_FROM ? [search] : []), ...(source || own.length > 1 ? [order] : []),
    button("Copy as CSV", copy, "Copy as CSV: " + caption), status);
  table.before(tools);
  table.after(turn);
  const made = { table, view, ask, restore, draw, chosen, size };
  tables.set(name, made);
  restore();
  return made;
}
