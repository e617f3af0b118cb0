// The table of subgroups and the table of cases: their rows are data, printed as Python prints them.
const data = JSON.parse(document.getElementById("subgroup-data")?.textContent || "{}");
// A row of subgroups is [items, redundant, state, gap, values...]; its place in the list is its rank.
const ITEMS = 0, REDUNDANT = 1, STATE = 2, GAP = 3, VALUES = 4;
// A row of cases is [id, items, reason of a penalty, key of its picture, values...], worst first.
const CASE_ID = 0, CASE_ITEMS = 1, PENALTY = 2, PICTURE = 3, CASE_VALUES = 4;
const CASE_ANCHOR = "case:";

function fixed(value, digits, signed) {
  if (value === null) return "–";
  const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  if (value === 0) return text;
  return (value < 0 ? "−" : signed ? "+" : "") + text;
}

function printed(kind, value, digits) {
  if (kind === "count") return value.toLocaleString("en");
  if (kind === "interval") return value === null ? "–" : fixed(value[0], digits, true) + " to " + fixed(value[1], digits, true);
  if (kind === "p") return value === null ? "–" : value < 0.001 ? "<0.001" : value.toFixed(3);
  return fixed(value, digits, kind === "signed");
}

function itemName(code) {
  const [attribute, level] = data.items[code];
  return data.attributes[attribute] + " = " + level;
}

function itemList(codes) {
  const list = element("span", undefined, "items");
  codes.forEach((code, index) => {
    const [attribute, level] = data.items[code];
    const item = element("span", undefined, "item");
    item.append(element("bdi", data.attributes[attribute]), element("span", " = ", "eq"), element("bdi", level, "level"));
    if (index) list.append(" ");
    list.append(item);
  });
  return list;
}

function headCell(...content) {
  const head = element("th");
  head.scope = "row";
  head.append(...content);
  return head;
}

function cellOf(title, text, small, className) {
  const cell = element("td", undefined, className);
  cell.dataset.title = title;
  cell.append(element("bdi", text));
  if (small) {
    const second = element("small");
    second.append(element("bdi", small));
    cell.append(second);
  }
  return cell;
}

// A row whose cells are known only when they are asked for: there may be ten thousand.
function lazyRow(values, text, lines, draw) {
  return {
    values,
    text: text.toLowerCase(),
    lines,
    key: (column) => {
      const value = values[column];
      return Array.isArray(value) ? value[0] : value;
    },
    draw,
  };
}

function subgroupRows(outcome) {
  const titles = data.columns.map((column) => column.title);
  const last = document.getElementById("subgroup-table").tHead.rows[0].lastElementChild.textContent.trim();
  return outcome.rows.map((row) => {
    const name = row[ITEMS].map(itemName).join(", "), [main, template] = data.states[row[STATE]];
    const small = template.replace("{}", fixed(row[GAP], outcome.digits, false));
    const texts = data.columns.map((column, index) => printed(column.kind, row[VALUES + index], outcome.digits));
    const made = lazyRow([name, ...row.slice(VALUES), main], name,
      () => [[name, ""], ...texts.map((text) => [text, ""]), [main, small]],
      () => {
        const line = element("tr"), head = headCell(itemList(row[ITEMS]));
        if (data.cases) head.append(membersOf(row[ITEMS]));
        line.append(head, ...texts.map((text, index) => cellOf(titles[index], text, "", "number")), cellOf(last, main, small));
        return line;
      });
    return Object.assign(made, { row, state: main });
  });
}

// Who belongs to a subgroup: the cases that have all of its items.
function membersOf(codes) {
  const fold = element("details", undefined, "members");
  fold.append(element("summary", "Members"));
  fold.addEventListener("toggle", () => {
    if (fold.childElementCount > 1) return;
    const list = element("p");
    const members = data.cases.rows.filter((entry) => codes.every((code) => entry[CASE_ITEMS].includes(code)));
    members.forEach((entry, index) => {
      if (index) list.append(", ");
      list.append(caseLink(entry, true));
    });
    if (data.cases.omitted) list.append(" " + data.cases.omitted);
    fold.append(list);
  });
  return fold;
}

function subgroupTable(table) {
  const form = document.getElementById("subgroup-controls"), fields = form.elements;
  const made = data.outcomes.map(() => null);
  const chosen = () => Number(fields.outcome.value) || 0;
  const rows = () => made[chosen()] || (made[chosen()] = subgroupRows(data.outcomes[chosen()]));
  const offer = (select, values) => values.forEach(([value, text]) => {
    const option = element("option", text);
    option.value = value;
    select.append(option);
  });
  offer(fields.attribute, data.attributes.map((name, index) => [String(index), name]));
  // "Not significant" says nothing alone: what remains possible stands with it, here as in the rows.
  const states = new Map(data.states.map(([main, template]) =>
    [main, main + (template.includes("{}") ? " (" + template.replace("{}", "…") + ")" : "")]));
  offer(fields.state, Array.from(states));
  offer(fields.outcome, data.outcomes.map((outcome, index) => [String(index), outcome.title]));
  document.getElementById("outcome-choice").hidden = data.outcomes.length < 2;
  document.getElementById("redundant-choice").hidden =
    !data.outcomes.some((outcome) => outcome.rows.some((row) => row[REDUNDANT]));
  document.getElementById("subgroup-status").remove();
  form.hidden = false;
  const choices = ["outcome", "attribute", "state"];
  const shown = behave(table, {
    pageRows: data.pageRows, search: fields.text, rows,
    accepts: ({ row, state }) => (!row[REDUNDANT] || fields.redundant.checked)
      && (!fields.state.value || state === fields.state.value)
      && (!fields.attribute.value || row[ITEMS].some((code) => String(data.items[code][0]) === fields.attribute.value)),
    remembered: () => ({ ...Object.fromEntries(choices.map((field) => [field, field === "outcome" && !chosen() ? "" : fields[field].value])),
      redundant: fields.redundant.checked ? "1" : "" }),
    restore: (asked) => {
      choices.forEach((field) => { fields[field].value = asked(field) || (field === "outcome" ? "0" : ""); });
      fields.redundant.checked = Boolean(asked("redundant"));
    },
  });
  form.addEventListener("input", () => shown.ask({}));
  form.addEventListener("submit", (event) => event.preventDefault());
  fields.clear.addEventListener("click", () => {
    form.reset();
    shown.ask({ text: "", column: -1, descending: false });
  });
}

function caseLink(entry, toPicture) {
  const link = element("a", entry[CASE_ID]);
  link.href = "#" + (toPicture && entry[PICTURE] ? entry[PICTURE] : encodeURIComponent(CASE_ANCHOR + entry[CASE_ID]));
  return link;
}

function caseRow(entry) {
  const { columns } = data.cases, names = entry[CASE_ITEMS].map(itemName).join(", ");
  const texts = columns.map((column, index) => printed(column.kind, entry[CASE_VALUES + index], column.digits));
  return Object.assign(lazyRow([entry[CASE_ID], ...entry.slice(CASE_VALUES), names], entry[CASE_ID] + " " + names + " " + entry[PENALTY],
    () => [[entry[CASE_ID], entry[PENALTY]], ...texts.map((text) => [text, ""]), [names, ""]],
    () => {
      const line = element("tr"), head = headCell(element("bdi", entry[CASE_ID]));
      if (entry[PENALTY]) head.append(element("small", entry[PENALTY]));
      if (entry[PICTURE]) {
        const link = element("a", "picture", "aside");
        link.href = "#" + entry[PICTURE];
        head.append(" ", link);
      }
      const attributes = element("td");
      attributes.dataset.title = "Attributes";
      attributes.append(itemList(entry[CASE_ITEMS].slice(0, data.cases.shown)));
      line.append(head, ...texts.map((text, index) => cellOf(columns[index].title, text, "", "number")), attributes);
      return line;
    }), { id: entry[CASE_ID] });
}

function caseTable(table) {
  const rows = data.cases.rows.map(caseRow);
  document.getElementById("case-status").remove();
  behave(table, { pageRows: data.pageRows, search: document.getElementById("case-search").elements.text, rows: () => rows });
}

// The row of a case, whatever the table was asked before; false where an anchor names no case.
function showCase(anchor) {
  if (!anchor.startsWith(CASE_ANCHOR) || !data.cases) return false;
  const id = anchor.slice(CASE_ANCHOR.length);
  closedAround(document.getElementById("all-cases")).forEach(open);
  open(document.getElementById("all-cases"));
  const shown = tables.get("cases");
  if (shown.view.text || shown.view.column >= 0) shown.ask({ text: "", column: -1, descending: false });
  document.getElementById("case-search").elements.text.value = "";
  const rank = shown.chosen().findIndex((row) => row.id === id);
  if (rank < 0) return false;
  shown.view.page = Math.floor(rank / shown.size);
  shown.draw();
  const line = shown.table.tBodies[0].rows[rank % shown.size];
  line.tabIndex = -1;
  line.classList.add("named");
  line.scrollIntoView({ block: "center" });
  line.focus({ preventScroll: true });
  return true;
}

function dressCase(node) {
  const entry = data.cases?.rows.find((row) => row[CASE_ID] === node.dataset.case);
  if (!entry) return;
  const link = caseLink(entry, !node.closest(".card"));
  link.replaceChildren(...node.childNodes);
  node.replaceChildren(link);
}

const search = document.getElementById("case-search");
if (search && data.cases) {
  search.hidden = false;
  search.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => {
    const fold = document.getElementById("all-cases");
    if (fold.open) return;
    address.set("cases", { text: search.elements.text.value });
    open(fold);
  });
}
