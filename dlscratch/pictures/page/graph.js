// Fold, unfold, turn. Without this script the page shows the same, and each layer still unfolds by itself.
const graph = document.getElementById("graph");

function fold(open) {
  for (const each of graph.querySelectorAll("details")) each.open = open;
}

function turn() {
  graph.classList.toggle("right");
  graph.classList.toggle("down");
}

document.getElementById("unfold").addEventListener("click", () => fold(true));
document.getElementById("fold").addEventListener("click", () => fold(false));
document.getElementById("turn").addEventListener("click", turn);
document.querySelector(".tools").hidden = false;
