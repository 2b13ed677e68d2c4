// The panel beside the map. Words are data: they enter the page as text, never as markup.

const FOUND = 40;
const MOVED = 100;
const TABLED = 1000;
const element = (id) => document.getElementById(id);

function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A word as it may be shown: characters that nobody could see, or that turn text around, are written out.
function shown(word) {
  const code = (sign) => `U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  if (!/[^\p{C}\p{Z}\p{M}\u2800\u3164\u115f\u1160]/u.test(word)) return Array.from(word, code).join(" ") || "(empty)";
  return word.replace(/[\p{Cc}\p{Cs}\u00ad\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, (sign) => `⟨${code(sign)}⟩`);
}

class Panel {
  constructor(data, texts, choose) {
    Object.assign(this, { data, texts, choose, selected: [] });
    this.rows = new Map(data.words.map((word, row) => [word, row]));
    this.lowered = data.words.map((word) => word.toLowerCase());
  }

  wordButton(row) {
    const button = make("button", { type: "button", className: "word" }, make("bdi", {}, this.texts[row]));
    button.dataset.row = row;
    button.addEventListener("click", () => this.choose(row));
    return button;
  }

  // The row of a word as somebody typed it, or -1.
  rowOf(typed) {
    for (const word of [typed, typed.trim(), typed.trim().toLowerCase()]) {
      if (this.rows.has(word)) return this.rows.get(word);
    }
    return -1;
  }

  // Words with the text in them: the word itself, then those that begin with it, each in the order of frequency.
  search(typed) {
    const text = typed.trim().toLowerCase();
    if (!text) return this.showFound([], "");
    const groups = [[], [], []];
    this.lowered.forEach((word, row) => {
      const at = word.indexOf(text);
      if (at >= 0) groups[word === text ? 0 : at === 0 ? 1 : 2].push(row);
    });
    const rows = groups.flat();
    const count = rows.length === 1 ? "1 word" : `${rows.length.toLocaleString("en")} words`;
    return this.showFound(rows.slice(0, FOUND), rows.length ? `${count} found` : "no such word on this map");
  }

  showFound(rows, status) {
    element("status").textContent = status;
    element("found").replaceChildren(...rows.map((row) => make("li", {}, this.wordButton(row))));
    return rows;
  }

  showWord(row, answers) {
    element("word").hidden = row < 0;
    if (row < 0) return;
    const { counts, change, words } = this.data;
    const facts = [`number ${(row + 1).toLocaleString("en")} of ${words.length.toLocaleString("en")}`];
    if (counts) facts.push(`occurs ${counts[row].toLocaleString("en")} times`);
    if (change) facts.push(`cosine with what it was: ${change.cosines[row].toFixed(3)}`);
    element("word-name").replaceChildren(make("bdi", {}, this.texts[row]));
    element("word-facts").textContent = facts.join(" · ");
    const titles = answers.length > 1 ? ["Nearest before", "Nearest after"] : ["Nearest words"];
    const tables = answers.map((answer, i) => this.scores(titles[i], answer));
    element("neighbours").replaceChildren(...tables);
  }

  // A table of words and cosines.
  scores(title, answer) {
    const lines = answer.map(({ row, score }) => [this.wordButton(row), score.toFixed(3)]);
    const table = this.table(title, ["word", "cosine"], lines);
    table.querySelectorAll("td:first-child").forEach((cell, i) => {
      cell.style.setProperty("--share", `${Math.max(0, answer[i].score) * 100}%`);
    });
    return table;
  }

  table(title, heads, lines) {
    const cell = (name) => (content) => make(name, name === "th" ? { scope: "col" } : {}, content);
    const line = (name, contents) => make("tr", {}, ...contents.map(cell(name)));
    return make("table", {}, make("caption", {}, title), line("th", heads), ...lines.map((each) => line("td", each)));
  }

  // The answer to the question in the form; `ask` takes three rows.
  answerAnalogy(ask) {
    const typed = ["a", "b", "c"].map((name) => element(`analogy-${name}`).value);
    const rows = typed.map((word) => this.rowOf(word));
    const unknown = typed.filter((word, i) => rows[i] < 0);
    element("analogy-status").textContent = unknown.length
      ? `not on this map: ${unknown.map((word) => (word.trim() ? shown(word) : "a word left empty")).join(", ")}` : "";
    const answer = unknown.length ? [] : ask(...rows);
    element("answers").replaceChildren(...(answer.length ? [this.scores("Answers", answer)] : []));
    return answer;
  }

  showSelection(rows) {
    this.selected = rows;
    this.showTable();
    const count = rows.length === 1 ? "1 word" : `${rows.length.toLocaleString("en")} words`;
    element("selection").hidden = !rows.length;
    const copied = (row) => (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(this.data.words[row]) ? this.texts[row] : this.data.words[row]);
    element("selected").value = rows.map(copied).join("\n");
    element("selection-status").textContent = rows.length ? count : "no words";
  }

  // The numbers behind the map, of the selected words; made when somebody opens the table.
  showTable() {
    const { axes, positions, counts, change, clusters, clusterNames } = this.data;
    const columns = {
      word: (row) => this.wordButton(row),
      x: (row) => positions[2 * row].toFixed(4),
      y: (row) => positions[2 * row + 1].toFixed(4),
      ...(counts && { count: (row) => counts[row].toLocaleString("en") }),
      ...(change && { cosine: (row) => change.cosines[row].toFixed(4) }),
      cluster: (row) => clusterNames[clusters[row]].map(shown).join(", "),
    };
    const lines = this.selected.slice(0, TABLED).map((row) => Object.values(columns).map((column) => column(row)));
    const more = this.selected.length > TABLED ? `The first ${TABLED.toLocaleString("en")}. ` : "";
    const table = () => this.table(`${more}x: ${axes[0]}; y: ${axes[1]}`, Object.keys(columns), lines);
    element("table").replaceChildren(...(element("numbers").open ? [table()] : []));
  }

  showMoved() {
    element("change").hidden = false;
    const answer = this.data.change.moved.slice(0, MOVED).map((row) => ({ row, score: this.data.change.cosines[row] }));
    element("moved").replaceChildren(this.scores("Furthest from what they were", answer));
  }

  showLegend(colouring, cluster, dark, toggle) {
    const { ends } = COLOURINGS[colouring];
    if (ends) {
      const ramp = make("div", { className: "ramp" });
      const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => css(amountColour(share, dark)));
      ramp.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
      element("legend").replaceChildren(ramp, make("p", { className: "ends" }, ...ends.map((end) => make("span", {}, end))));
      return;
    }
    const buttons = this.data.clusterNames.map((name, number) => {
      const dot = make("span", { className: "dot" });
      dot.style.background = this.data.colours[number];
      const listed = name.flatMap((word, i) => [i ? ", " : "", make("bdi", {}, shown(word))]);
      const button = make("button", { type: "button" }, dot, make("span", {}, ...listed));
      button.setAttribute("aria-pressed", String(cluster === number));
      button.addEventListener("click", () => toggle(number));
      return button;
    });
    element("legend").replaceChildren(...buttons);
  }
}

async function copyText(area) {
  try {
    await navigator.clipboard.writeText(area.value);
  } catch { // without permission the old way is left
    area.select();
    document.execCommand("copy");
  }
}
