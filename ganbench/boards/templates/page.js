{% include "sort.js" %}

// Filtering: rows, points, pictures and curves carry data-family; rows are found by the text of their name.
const find = document.getElementById("find");
const boxes = Array.from(document.querySelectorAll('input[name="family"]'));
function filter() {
  const text = find.value.trim().toLowerCase();
  const off = new Set(boxes.filter((b) => !b.checked).map((b) => b.value));
  let shown = 0, all = 0;
  for (const item of document.querySelectorAll("[data-family]")) {
    const name = item.cells ? item.cells[1].textContent : item.dataset.label || "";
    const visible = !off.has(item.dataset.family) && name.toLowerCase().includes(text);
    item.toggleAttribute("hidden", !visible);
    if (item.cells && item.closest("table") === document.querySelector("table")) { all += 1; shown += visible; }
  }
  document.getElementById("shown").textContent = shown < all ? `${shown} of ${all} rows` : "";
}
find.addEventListener("input", filter);
for (const box of boxes) box.addEventListener("change", filter);
