// A report's page: examples of the cell that is chosen, numbers under the pointer, tables as CSV.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// The confusion matrix: a cell shows its examples.

function choose(button) {
  for (const other of all("#matrix button")) other.setAttribute("aria-pressed", String(other === button));
  for (const part of all("#examples > section")) part.hidden = part.dataset.pair !== button.value;
  document.querySelector("#examples .hint").hidden = true;
  document.getElementById("examples").scrollIntoView({ block: "nearest" });
}

for (const button of all("#matrix button")) {
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => choose(button));
}

// Curves: the pointer and the arrow keys read the numbers of an epoch out of the table behind the picture.

function readable(picture) {
  const figure = picture.closest("figure");
  const [cursor] = all(".cursor", picture);
  const [readout] = all(".readout", figure);
  const rows = all("tbody tr", figure);
  const heads = all("thead th", figure).map((head) => head.textContent);
  const places = picture.dataset.places.split(",").map(Number);
  let at = places.length - 1;

  function show(index) {
    at = Math.max(0, Math.min(places.length - 1, index));
    cursor.setAttribute("x1", places[at]);
    cursor.setAttribute("x2", places[at]);
    cursor.style.display = "inline";
    readout.textContent = [...rows[at].cells].map((cell, i) => `${heads[i]} ${cell.textContent}`).join(" · ");
  }

  function leave() {
    cursor.style.display = "none";
    readout.textContent = "";
  }

  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * picture.viewBox.baseVal.width;
    const distances = places.map((place) => Math.abs(place - x));
    show(distances.indexOf(Math.min(...distances)));
  });
  picture.addEventListener("pointerleave", leave);
  picture.addEventListener("focus", () => show(at));
  picture.addEventListener("blur", leave);
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -places.length, End: places.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(at + step);
  });
  leave();
}

for (const picture of all("svg[data-places]")) readable(picture);

// One switch for all charts that can be drawn by logarithms, and in each legend one for each curve.

const log = document.getElementById("log");

function toggled(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  return on;
}

if (log) {
  log.hidden = !document.querySelector("svg.log");
  log.addEventListener("click", () => {
    const on = toggled(log);
    for (const picture of all("svg.log")) {
      picture.toggleAttribute("hidden", !on);
      picture.previousElementSibling.toggleAttribute("hidden", on);
    }
  });
}

for (const button of all(".legend button")) {
  button.addEventListener("click", () => {
    const on = toggled(button);
    const curves = all(`svg[data-places] .line.${button.value}`, button.closest("figure"));
    for (const curve of curves) curve.classList.toggle("off", !on);
  });
}

// Files: each table behind a picture as CSV, and all numbers of the page as JSON.

function save(text, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function csvOf(table) {
  const value = (cell) => cell.querySelector("data")?.value ?? (cell.querySelector(".none") ? "" : cell.textContent);
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [...table.rows].map((row) => [...row.cells].map((cell) => quoted(value(cell))).join(",")).join("\n") + "\n";
}

for (const details of all("figure > details")) {
  const [table] = all("table", details);
  const name = table.caption.textContent.replace(/[^\p{L}\p{N}._-]+/gu, "_");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Save as CSV";
  button.addEventListener("click", () => save(csvOf(table), "text/csv", `${name}.csv`));
  details.append(button);
}

const everything = document.getElementById("save");
everything.hidden = false;
everything.addEventListener("click", () => {
  save(document.getElementById("data").textContent, "application/json", "report.json");
});
