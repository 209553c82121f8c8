// Sorts a table by the column whose heading is pressed. Cells carry their sort
// key in data-key; undefined values have none and stay at the end.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const column = head.cellIndex;
    const body = head.closest("table").tBodies[0];
    const descending = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentNode.cells)
      other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.key;
    const compare = (a, b) => {
      if (key(a) === undefined || key(b) === undefined)
        return (key(a) === undefined) - (key(b) === undefined);
      const [x, y] = [Number(key(a)), Number(key(b))];
      const order = Number.isNaN(x) || Number.isNaN(y)
        ? key(a).localeCompare(key(b)) : x - y;
      return descending ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}

// Shows only the queries of a gallery that have the chosen label.
const choice = document.getElementById("label");
choice?.addEventListener("change", () => {
  for (const section of document.querySelectorAll("section")) {
    const labels = section.dataset.labels.split(" ");
    section.hidden = choice.value !== "" && !labels.includes(choice.value);
  }
});
