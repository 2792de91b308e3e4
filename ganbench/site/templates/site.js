// Two rows of one board side by side: what every table says of them, and whether their intervals are apart.
const picks = Array.from(document.querySelectorAll(".compare select"));
const side = document.querySelector(".compare tbody");
function rowsOf(name) {
  const plain = (r) => (r.cells[1].dataset.sort || "").replace(/ \(v[^)]*, now v[^)]*\)$/, ""); // "(v1, now v3)"
  return Array.from(document.querySelectorAll("table.board tbody tr")).filter((r) => plain(r) === name);
}
function interval(text) {
  const found = text.match(/\[([^,\]]+), ([^\]]+)\]/);
  return found ? [Number(found[1]), Number(found[2])] : null;
}
function cell(row, text, strong) {
  const made = row.insertCell();
  made.textContent = text;
  if (strong) made.className = "better";
}
function compare() {
  side.replaceChildren();
  const [a, b] = picks.map((p) => p.value);
  if (!a || !b || a === b) { document.getElementById("apart").textContent = a && a === b ? "Choose two different rows." : ""; return; }
  let apart = 0, all = 0;
  for (const left of rowsOf(a)) {
    const title = left.closest("section").querySelector("h2").textContent;
    const right = rowsOf(b).find((r) => r.closest("section") === left.closest("section"));
    if (!right) continue;
    const heads = left.closest("table").tHead.rows[0].cells;
    const theirs = Array.from(right.closest("table").tHead.rows[0].cells).map((h) => h.textContent);
    for (let i = 2; i < heads.length; i += 1) {
      const j = theirs.indexOf(heads[i].textContent);
      if (j < 0 || !left.cells[i].dataset.sort || !right.cells[j].dataset.sort || !left.cells[i].classList.contains("number")) continue;
      const [x, y] = [Number(left.cells[i].dataset.sort), Number(right.cells[j].dataset.sort)];
      const [u, v] = [interval(left.cells[i].textContent), interval(right.cells[j].textContent)];
      const clear = u && v && (u[1] < v[0] || v[1] < u[0]);
      const direction = heads[i].dataset.direction;
      const first = direction === "max" ? x > y : direction === "min" ? x < y : false;
      const second = direction === "max" ? y > x : direction === "min" ? y < x : false;
      const row = side.insertRow();
      cell(row, title); cell(row, heads[i].textContent);
      cell(row, left.cells[i].textContent.trim(), first && clear); cell(row, right.cells[j].textContent.trim(), second && clear);
      cell(row, !u || !v ? "no intervals" : clear ? (first ? a : second ? b : "apart") : "intervals overlap");
      all += 1; apart += clear ? 1 : 0;
    }
  }
  document.getElementById("apart").textContent = `${apart} of ${all} scores have intervals that do not overlap.`;
}
for (const pick of picks) pick.addEventListener("change", compare);
