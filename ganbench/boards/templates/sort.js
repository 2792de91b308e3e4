"use strict";
// Sorting: by the cell's data-sort, numbers as numbers, empty cells last in both directions.
function key(row, column) {
  const value = row.cells[column].dataset.sort;
  if (value === undefined) return null;
  return row.cells[column].classList.contains("number") ? Number(value) : value;
}
function sortBy(header) {
  const table = header.closest("table");
  const column = header.cellIndex;
  const first = header.dataset.direction === "max" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = header.getAttribute("aria-sort") === first ? other : first;
  for (const h of table.tHead.rows[0].cells) h.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => {
    const x = key(a, column), y = key(b, column);
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x < y ? -1 : x > y ? 1 : 0);
  });
  table.tBodies[0].append(...rows);
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.parentElement));
}
