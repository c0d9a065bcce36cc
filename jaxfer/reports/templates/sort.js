// Tables of the class "sortable": a press on a heading's button sorts by that column, a second press the other way.
for (const table of document.querySelectorAll(".sortable table")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");  // what is missing stays at the end
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return descending ? -order : order;
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => compare(value(a), value(b)));
    table.tBodies[0].append(...rows);
  }));
}
