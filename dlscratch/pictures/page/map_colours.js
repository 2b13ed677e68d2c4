// Colours that can be told apart by colour-blind readers: those of the data for groups, cividis for amounts.

const AMOUNTS = ["#00204d", "#31446b", "#666970", "#958f78", "#cbba69", "#ffea46"];

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
const mixed = (a, b, share) => channels(a).map((x, i) => Math.round(x + (channels(b)[i] - x) * share));
const css = (rgb) => `rgb(${rgb.join(" ")})`;
const pixel = ([r, g, b]) => (0xff000000 | (b << 16) | (g << 8) | r) >>> 0; // as ImageData holds it

// The colour of an amount from 0 to 1, away from the end that the background swallows.
function amountColour(share, dark) {
  const place = (dark ? 0.3 + 0.7 * share : 0.8 - 0.8 * share) * (AMOUNTS.length - 1);
  const step = Math.min(Math.floor(place), AMOUNTS.length - 2);
  return mixed(AMOUNTS[step], AMOUNTS[step + 1], place - step);
}

const COLOURINGS = {
  cluster: { name: "by cluster" },
  frequency: {
    name: "by frequency",
    ends: ["rare", "frequent"],
    share: (row, data) => 1 - Math.log1p(row) / Math.log1p(data.words.length),
  },
  movement: {
    name: "by movement",
    ends: ["stayed", "moved"],
    share: (row, data) => Math.max(0, 1 - data.change.cosines[row]) / (data.change.furthest || 1),
  },
};

// A pixel for each word; words outside the chosen cluster fade into the paper.
function wordColours(data, colouring, cluster, theme) {
  const { share } = COLOURINGS[colouring];
  const groups = data.colours.map((colour) => pixel(channels(colour)));
  const faded = data.colours.map((colour) => pixel(mixed(theme.paper, colour, 0.15)));
  const colours = new Uint32Array(data.words.length);
  for (let row = 0; row < colours.length; row++) {
    const group = data.clusters[row];
    if (share) colours[row] = pixel(amountColour(share(row, data), theme.dark));
    else colours[row] = (cluster < 0 || cluster === group ? groups : faded)[group];
  }
  return colours;
}
