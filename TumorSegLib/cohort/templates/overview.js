"use strict";
const body = document.querySelector("tbody");
const headings = [...document.querySelectorAll("th[data-key]")];
const lines = [...body.rows];

function value(row, key, isText) {
  const text = row.dataset[key];
  if (isText) return text.toLowerCase();
  return text === "" ? null : Number(text);
}

function compare(one, other, isUpward) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (one === other) return 0;
  return (one < other) === isUpward ? -1 : 1;
}

function sortBy(heading) {
  const isText = heading.dataset.text !== undefined;
  const was = heading.getAttribute("aria-sort");
  const isUpward = was === null ? isText : was === "descending";
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", isUpward ? "ascending" : "descending");
  const keyed = lines.map((row) => [value(row, heading.dataset.key, isText), row]);
  keyed.sort((one, other) => compare(one[0], other[0], isUpward));
  body.append(...keyed.map((pair) => pair[1]));
}

function show() {
  const wanted = document.getElementById("search").value.toLowerCase();
  const some = [...document.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.id);
  let count = 0;
  for (const row of lines) {
    const fits = some.length === 0 || some.some((id) => Number(row.dataset[id]) > 0);
    row.hidden = !(fits && row.textContent.toLowerCase().includes(wanted));
    if (!row.hidden) count += 1;
  }
  document.getElementById("count").textContent = `${count} of ${lines.length} shown`;
}

for (const heading of headings) {
  heading.querySelector("button").addEventListener("click", () => sortBy(heading));
}
for (const field of document.querySelectorAll("input")) field.addEventListener("input", show);
show();
