// Elements are made here and nowhere from text: what a server or a client said is never markup.

export const byId = (id) => document.getElementById(id);

/** Return an element; `on…` attributes are listeners, false and null ones are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Write only what changed: a page of 200 endpoints is laid out anew for each write. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** Return a table; each column is its title, or [title, class]. A caption is for screen readers. */
export function table(caption, columns, rows, attributes = {}) {
  const heads = columns.map((column) => {
    const [title, name] = [column].flat();
    return element("th", { scope: "col", role: "columnheader", class: name ?? null }, title);
  });
  return element(
    "table",
    { role: "table", ...attributes },
    element("caption", { class: "hidden" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
    element("tbody", { role: "rowgroup" }, ...rows),
  );
}

/** Return a cell; `label` stands before it where a narrow screen has no column heads. */
export function cell(name, label, ...children) {
  return element("td", { role: "cell", class: name, "data-label": label }, ...children);
}

export const row = (attributes, ...cells) => element("tr", { role: "row", ...attributes }, ...cells);

export const empty = (text) => element("p", { class: "empty" }, text);
