"use strict";
const rows = JSON.parse(document.getElementById("data").textContent);
const field = (id) => document.getElementById(id);

function cell(text, className) {
  const td = document.createElement("td");
  td.textContent = text.replaceAll("_", " ");
  td.className = className;
  return td;
}

function testCell(name, testPackage, log) {
  const td = document.createElement("td");
  const code = document.createElement("code");
  code.textContent = testPackage;
  const label = document.createElement(log ? "a" : "span");
  label.textContent = name;
  if (log) label.href = encodeURI(log);
  td.append(code, " ", label);
  return td;
}

function show() {
  const name = field("name").value.toLowerCase();
  const feature = field("feature").value;
  const status = field("status").value;
  const found = rows.filter(
    (row) =>
      (!name || `${row[0]} ${row[1]}`.toLowerCase().includes(name)) &&
      (!feature || row[3].includes(feature)) &&
      (!status || row[2] === status),
  );
  field("rows").replaceChildren(
    ...found.map(([testPackage, test, state, , log, others]) => {
      const tr = document.createElement("tr");
      tr.append(cell(state, `state ${state}`), testCell(test, testPackage, log));
      tr.append(...others.map((other) => cell(other, `state ${other}`)));
      return tr;
    }),
  );
  field("shown").textContent = `${found.length} of ${rows.length}`;
}

field("filter").addEventListener("submit", (event) => event.preventDefault());
field("filter").addEventListener("input", show);
document.querySelectorAll("a[data-feature]").forEach((link) =>
  link.addEventListener("click", () => {
    field("feature").value = link.dataset.feature;
    show();
  }),
);
show();
