// The map as a whole: its state, what can be done with it, and the loop that draws it when something has changed.

const LINES = 30; // of the words that moved most
const NAMED = 12; // of these
const METHODS = { pca: "PCA", tsne: "t-SNE", umap: "UMAP" };
const data = JSON.parse(document.getElementById("data").textContent);
data.positions = floatsOf(data.positions);
data.clusters = bytesOf(data.clusters);
if (data.change) {
  data.change.positions = floatsOf(data.change.positions);
  data.change.cosines = floatsOf(data.change.cosines);
  data.change.furthest = 1 - data.change.cosines[data.change.moved[0]];
}

const canvas = element("map");
const texts = data.words.map(shown);
const view = new View();
const painter = new Painter(canvas, data, new Labels(texts.map(cut)));
const panel = new Panel(data, texts, (row) => choose(row, true));
const bounds = data.change ? boundsOf(data.positions, data.change.positions) : boundsOf(data.positions);
const state = {
  positions: data.positions, start: null, colours: null,
  focus: -1, hover: -1, neighbours: [], answers: [], found: [], selected: [], moved: [], strong: [], loop: [],
  colouring: data.change ? "movement" : "cluster", cluster: -1, lassoing: false,
};
const frameTimes = [];
const theme = {};
let spaces = null;
let pending = false;
let lastFrame = 0;

function changed() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  pending = false;
  if (lastFrame && now - lastFrame < 500) frameTimes.push(now - lastFrame);
  if (frameTimes.length > 600) frameTimes.shift();
  view.advance(now);
  const { focus, hover, neighbours, answers, found, selected } = state;
  const moved = focus < 0 ? state.moved.slice(0, NAMED) : [];
  const strong = [focus, hover, ...neighbours, ...answers, ...found, ...selected.slice(0, 200), ...moved];
  state.strong = [...new Set(strong)].filter((row) => row >= 0);
  painter.paint(state, view, theme);
  lastFrame = now;
  if (view.flight) changed();
}

// The vectors are unpacked when the map has been drawn, or when somebody asks before.
function allSpaces() {
  spaces ??= data.spaces.map((space) => new Space(space, data.words.length));
  return spaces;
}

function choose(row, fly = false) {
  state.focus = row;
  const answers = row < 0 ? [] : allSpaces().map((space) => space.nearest(row)); // after, before
  state.neighbours = row < 0 ? [] : answers[0].map((answer) => answer.row);
  state.answers = [];
  panel.showWord(row, answers.reverse());
  if (fly) goTo(row, state.neighbours);
  changed();
}

// Bring a word to the middle, as near as leaves its companions in view.
function goTo(row, companions) {
  const [x, y] = [state.positions[2 * row], state.positions[2 * row + 1]];
  let scale = view.whole * 40;
  for (const other of companions) {
    const [dx, dy] = [state.positions[2 * other] - x, state.positions[2 * other + 1] - y];
    scale = Math.min(scale, (0.4 * view.width) / Math.abs(dx), (0.42 * view.height) / Math.abs(dy));
  }
  view.fly(view.centred(x, y, Math.max(scale, view.whole)));
}

function select(rows) {
  state.selected = rows;
  panel.showSelection(rows);
  changed();
}

function recolour() {
  state.colours = wordColours(data, state.colouring, state.cluster, theme);
  panel.showLegend(state.colouring, state.cluster, theme.dark, (number) => {
    state.cluster = state.cluster === number ? -1 : number;
    recolour();
  });
  changed();
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "ink", "soft", "line", "mark"]) theme[name] = style.getPropertyValue(`--${name}`).trim();
  theme.dark = dark;
  recolour();
}

// Where the words are between before (0) and after (1).
function setTime(time) {
  const { positions } = data.change;
  state.positions = data.positions.map((after, i) => positions[i] + (after - positions[i]) * time);
  state.start = positions;
  state.moved = data.change.moved.slice(0, LINES);
  changed();
}

const actions = {
  changed,
  lassoing: () => state.lassoing,
  whole() { view.fly(view.fitting(bounds)); changed(); },
  toggleLasso(on = !state.lassoing) {
    state.lassoing = on;
    element("lasso").setAttribute("aria-pressed", String(on));
    canvas.classList.toggle("lasso", on);
  },
  click(place) { choose(wordAt(place, view, state.positions)); },
  draw(loop) { state.loop = loop; },
  enclose(loop) {
    state.loop = [];
    actions.toggleLasso(false);
    select(wordsInside(loop, view, state.positions));
  },
  hover(place) {
    const row = place ? wordAt(place, view, state.positions) : -1;
    if (row !== state.hover) { state.hover = row; changed(); }
  },
  zoom(factor) { view.zoomAt(view.width / 2, view.height / 2, factor); changed(); },
  clear() {
    element("search").value = "";
    state.found = panel.search("");
    state.loop = [];
    actions.toggleLasso(false);
    if (state.selected.length) select([]);
    choose(-1);
  },
};

function listen() {
  const on = (id, name, act) => element(id).addEventListener(name, act);
  on("nearer", "click", () => actions.zoom(1.6));
  on("further", "click", () => actions.zoom(1 / 1.6));
  on("whole", "click", actions.whole);
  on("lasso", "click", () => actions.toggleLasso());
  on("theme", "click", () => setTheme(!theme.dark));
  on("search", "input", (event) => { state.found = panel.search(event.target.value); changed(); });
  on("search", "keydown", (event) => { if (event.key === "Enter" && state.found.length) choose(state.found[0], true); });
  on("analogy", "submit", (event) => {
    event.preventDefault();
    state.answers = panel.answerAnalogy((a, b, c) => allSpaces()[0].analogy(a, b, c)).map((answer) => answer.row);
    if (state.answers.length) goTo(state.answers[0], state.answers);
    changed();
  });
  on("colour", "change", (event) => { state.colouring = event.target.value; state.cluster = -1; recolour(); });
  on("in-view", "click", () => select(wordsInside([[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]], view, state.positions)));
  on("copy", "click", async () => { await copyText(element("selected")); element("selection-status").textContent = "copied"; });
  on("clear", "click", () => select([]));
  on("numbers", "toggle", () => panel.showTable());
  on("time", "input", (event) => setTime(Number(event.target.value)));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") actions.clear();
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) { event.preventDefault(); element("search").focus(); }
  });
  new Input(canvas, view, actions);
  new ResizeObserver(() => resize()).observe(element("stage"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => setTheme(event.matches));
}

function resize() {
  const { width, height } = element("stage").getBoundingClientRect();
  view.resize(Math.max(width, 2), Math.max(height, 2), bounds);
  painter.resize(view);
  painter.paint(state, view, theme);
}

function describe() {
  const count = data.words.length.toLocaleString("en");
  const of = data.total > data.words.length ? ` of ${data.total.toLocaleString("en")}` : "";
  const [{ dim, bits }] = data.spaces;
  const [across, up] = data.axes;
  canvas.setAttribute("aria-label", `Map of the words; across: ${across}; up: ${up}; “Words in view” lists what it shows`);
  element("facts").textContent = `${count}${of} words, ${dim} dimensions, ${METHODS[data.method]}`;
  element("honesty").textContent = `Neighbours are looked for in all ${dim} dimensions, among the words of this map. The vectors travel rounded to ${bits} bits; neighbours are those before rounding${bits < 20 ? ", answers of analogies that are nearly equal may change places" : ""}.`;
  const choices = Object.entries(COLOURINGS).filter(([name]) => name !== "movement" || data.change);
  element("colour").append(...choices.map(([value, { name }]) => make("option", { value, selected: value === state.colouring }, name)));
}

describe();
listen();
if (data.change) { panel.showMoved(); setTime(1); }
setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
resize();
window.dlscratchMap = {
  frameTimes,
  view,
  state,
  labels: painter.labels,
  context: painter.context,
  readyAt: null,
  screenOf: (row) => [view.screenX(state.positions[2 * row]), view.screenY(state.positions[2 * row + 1])],
};
setTimeout(() => {
  allSpaces();
  window.dlscratchMap.readyAt = performance.now(); // milliseconds since the page was opened
});
