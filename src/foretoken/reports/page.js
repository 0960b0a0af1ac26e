"use strict";
/* Two conveniences; the page is whole without them: tables that sort, figures that can be saved. */

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent;
    return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort === "ascending";
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)) * (down ? -1 : 1));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = down ? "descending" : "ascending";
      body.append(...rows);
    });
  });
}

for (const figure of document.querySelectorAll("figure")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Save as SVG";
  figure.append(button);
  button.addEventListener("click", () => {
    const style = getComputedStyle(document.documentElement);
    const shown = [...figure.querySelectorAll(".panels > svg")].filter((svg) => svg.getBoundingClientRect().width);
    shown.forEach((svg, rank) => {
      const copy = svg.cloneNode(true);
      copy.setAttribute("font-family", "sans-serif");
      const text = new XMLSerializer().serializeToString(copy);
      const inked = text.replace(/var\((--[a-z0-9-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([inked], { type: "image/svg+xml" }));
      link.download = `${figure.id}${shown.length > 1 ? `-${rank + 1}` : ""}.svg`;
      link.click();
    });
  });
}
