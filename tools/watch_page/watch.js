// Fetches the training runs every two seconds and draws them. Text from data is set as text, never as HTML.
"use strict";

const INTERVAL = 2000; // milliseconds between two requests
const SILENCE = 180; // seconds without a sign of life that are worth a word
const MOST_POINTS = 40; // epochs up to which each has a point
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [320, 200];
const BOX = { left: 46, right: 14, top: 10, bottom: 36 }; // margins of a chart, with the labels of its axes
const SPLITS = ["validation", "training"];

const page = Object.fromEntries(["news", "none", "runs", "pause", "forwarding"].map((id) => [id, document.getElementById(id)]));
const cards = new Map(); // by the key of a run
let states = null; // by the key of a run, at the last answer
let [paused, asking, failed] = [false, false, false];

const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const loss = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const QUANTITIES = [
  { name: "Accuracy", column: "accuracy", format: percent, factor: 100, unit: "%" },
  { name: "Loss", column: "loss", format: loss, factor: 1, unit: "" },
];

/** Make an HTML element with a text and, in it, other elements. */
function element(name, text = "", ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

/** Make an element of a drawing. */
function shape(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** Return the column of the curve, whose files say `train` for the training split. */
function column(split, quantity) {
  return `${split === "training" ? "train" : split}_${quantity.column}`;
}

function counted(count, noun) {
  return `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

function describeState(run) {
  const ago = `${duration(run.age)} ago`;
  if (run.state === "ended") return `Ended ${ago}`;
  if (run.state === "stopped") return `Stopped before its end, last heard of ${ago}`;
  if (run.state === "unreadable") return "Unreadable";
  if (run.seconds_left === null) return "Running";
  return run.seconds_left < 1 ? "Running, about to end" : `Running, about ${duration(run.seconds_left)} left`;
}

function describeDetail(run) {
  const { progress, curve } = run;
  if (run.state === "unreadable") return "Its files in checkpoints/ are damaged, or of another version of this program.";
  const done = `${curve.length} of ${counted(progress.epochs, "epoch")} done`;
  if (run.state === "ended") return `${done}. The training is complete; DVC evaluates it next.`;
  if (run.state === "stopped") {
    const again = run.resumable ? "resumes it where its state was saved" : "starts it over";
    return `${done}. It was interrupted, killed, or failed; the same command ${again}.`;
  }
  const rate = progress.images_per_second > 0 ? `, ${counted(progress.images_per_second, "image")} per second` : "";
  const silent = run.age > SILENCE ? ` No sign of life for ${duration(run.age)}.` : "";
  return `${done}${rate}.${silent}`;
}

/** Say why there is no curve; empty where there is one. */
function describeLack(run) {
  const running = run.state === "running";
  if (run.progress?.epochs === 1) return `A run of one epoch has no curve${running ? " yet: its values follow at its end" : ""}.`;
  return running && !run.curve.length ? "No curve yet: the first point follows the first epoch." : "";
}

/** Return round numbers, evenly spaced, around and between two others. */
function ticks(low, high, most) {
  const rough = (high - low) / most || Math.abs(high) / 10 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  let [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  if (first === last) low > 0 ? first-- : last++;
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

/** Label ticks with as many digits as tell one from the next. */
function tickLabels(values, { factor, unit }) {
  const digits = Math.max(0, -Math.floor(Math.log10((values[1] - values[0]) * factor) + 1e-9));
  return values.map((value) => (value * factor).toFixed(digits) + unit);
}

/** Draw one quantity of both splits by epoch. */
function drawChart(run, quantity) {
  const { curve } = run;
  const epochs = Math.max(run.progress.epochs, 2);
  const values = SPLITS.flatMap((split) => curve.map((row) => row[column(split, quantity)]));
  const rows = ticks(Math.min(...values), Math.max(...values), 4);
  const [low, high] = [rows[0], rows.at(-1)];
  const x = (epoch) => BOX.left + ((epoch - 1) / (epochs - 1)) * (WIDTH - BOX.left - BOX.right);
  const y = (value) => HEIGHT - BOX.bottom - ((value - low) / (high - low)) * (HEIGHT - BOX.top - BOX.bottom);
  const bottom = HEIGHT - BOX.bottom;
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": describeChart(run, quantity) });
  const labels = tickLabels(rows, quantity);
  for (const [place, value] of rows.entries()) {
    svg.append(shape("line", { class: "grid", x1: BOX.left, x2: WIDTH - BOX.right, y1: y(value), y2: y(value) }));
    svg.append(shape("text", { x: BOX.left - 6, y: y(value) + 4, "text-anchor": "end" }, labels[place]));
  }
  for (const epoch of new Set([1, ...ticks(1, epochs, 5).filter((tick) => tick > 1 && tick <= epochs && tick % 1 === 0)])) {
    svg.append(shape("text", { x: x(epoch), y: bottom + 16, "text-anchor": "middle" }, whole.format(epoch)));
  }
  svg.append(shape("line", { class: "axis", x1: BOX.left, x2: WIDTH - BOX.right, y1: bottom, y2: bottom }));
  svg.append(shape("text", { x: WIDTH - BOX.right, y: HEIGHT - 4, "text-anchor": "end" }, "epoch"));
  for (const split of [...SPLITS].reverse()) {
    const points = curve.map((row) => [x(row.epoch), y(row[column(split, quantity)])]);
    svg.append(shape("polyline", { class: `curve ${split}`, points: points.map((point) => point.join()).join(" ") }));
    for (const [cx, cy] of curve.length > MOST_POINTS ? points.slice(-1) : points) {
      svg.append(shape("circle", { class: split, cx, cy, r: 2.5 }));
    }
  }
  return svg;
}

function describeChart(run, quantity) {
  const parts = SPLITS.map((split) => {
    const values = run.curve.map((row) => quantity.format.format(row[column(split, quantity)]));
    return `${split} ${values.length > 1 ? `from ${values[0]} to ${values.at(-1)}` : values[0]}`;
  });
  const epochs = counted(run.curve.length, "epoch");
  return `${quantity.name} of ${run.name} after ${epochs}: ${parts.join(", ")}. The values are in the table below.`;
}

/** Return the epoch with the highest validation accuracy; among equals, that with the lowest validation loss. */
function bestEpoch(curve) {
  return curve.reduce((best, row) => {
    const difference = row.validation_accuracy - best.validation_accuracy || best.validation_loss - row.validation_loss;
    return difference > 0 ? row : best;
  });
}

function makeTable(run) {
  const shown = [
    ["Latest", run.curve.at(-1)],
    ["Best", bestEpoch(run.curve)],
  ];
  const head = element("tr", "", element("td"));
  for (const [label, row] of shown) {
    const cell = element("th", `${label}, epoch ${row.epoch}`);
    cell.scope = "col";
    head.append(cell);
  }
  const body = element("tbody");
  for (const quantity of QUANTITIES) {
    for (const split of SPLITS) {
      const label = element("th", `${quantity.name}, ${split}`);
      label.scope = "row";
      const cells = shown.map(([, row]) => element("td", quantity.format.format(row[column(split, quantity)])));
      body.append(element("tr", "", label, ...cells));
    }
  }
  return element("table", "", element("caption", "Latest and best values"), element("thead", "", head), body);
}

function makeLegend() {
  const list = element("ul");
  list.className = "legend";
  for (const split of SPLITS) {
    const line = shape("svg", { viewBox: "0 0 36 10", "aria-hidden": "true" });
    line.append(shape("polyline", { class: `curve ${split}`, points: "1,5 35,5" }));
    line.append(shape("circle", { class: split, cx: 18, cy: 5, r: 2.5 }));
    list.append(element("li", "", line, split));
  }
  return list;
}

function makeCard(number) {
  const [title, state, detail, bar, lack, curves] = ["h2", "p", "p", "progress", "p", "div"].map((name) => element(name));
  title.id = `run-${number}`;
  title.dir = "auto";
  state.className = "state";
  detail.className = "detail";
  bar.setAttribute("aria-labelledby", title.id);
  const article = element("article", "", title, state, detail, bar, lack, curves);
  article.setAttribute("aria-labelledby", title.id);
  return { article, title, state, detail, bar, lack, curves, drawn: "" };
}

function showRun(card, run) {
  card.title.textContent = run.name;
  card.state.textContent = describeState(run);
  card.detail.textContent = describeDetail(run);
  card.bar.hidden = run.state !== "running";
  if (run.progress) {
    card.bar.max = run.progress.total_steps;
    card.bar.value = run.progress.steps;
  }
  card.lack.textContent = describeLack(run);
  const drawn = JSON.stringify([run.name, run.curve]);
  if (drawn === card.drawn) return;
  card.drawn = drawn;
  card.curves.replaceChildren();
  if (!run.curve.length) return;
  if (run.progress.epochs > 1) {
    const charts = element("div");
    for (const quantity of QUANTITIES) {
      charts.append(element("figure", "", element("figcaption", quantity.name), drawChart(run, quantity)));
    }
    charts.className = "charts";
    card.curves.append(makeLegend(), charts);
  }
  card.curves.append(makeTable(run));
}

/** Say what has changed since the last answer, for those who look and those who listen. */
function describeNews(runs, running) {
  if (!states) return running ? `${counted(running, "training run")} under way.` : "No training run is under way.";
  const stopped = "has stopped before its end";
  const words = { running: "is running", ended: "has ended", stopped, unreadable: "is unreadable" };
  const changed = runs.filter((run) => states.get(run.key) !== run.state);
  return changed.map((run) => `${run.name} ${words[run.state]}.`).join(" ");
}

/** Set a text where it differs: what is set again would be read aloud again. */
function announce(text) {
  if (page.news.textContent !== text) page.news.textContent = text;
}

function show({ runs, forwarding }) {
  const running = runs.filter((run) => run.state === "running").length;
  const news = describeNews(runs, running);
  if (news || failed) announce(news || "make watch answers again.");
  states = new Map(runs.map((run) => [run.key, run.state]));
  document.title = running ? `${running} running – Training runs` : "Training runs";
  page.none.hidden = running > 0;
  page.forwarding.textContent = forwarding;
  for (const run of runs) {
    if (!cards.has(run.key)) cards.set(run.key, makeCard(cards.size));
    showRun(cards.get(run.key), run);
  }
  const order = runs.map((run) => cards.get(run.key).article);
  const same = order.length === page.runs.children.length && order.every((card, place) => card === page.runs.children[place]);
  if (!same) page.runs.replaceChildren(...order);
}

async function update() {
  if (paused || asking) return;
  asking = true;
  const values = await fetchRuns();
  asking = false;
  if (values) {
    show(values);
  } else {
    announce("No answer: make watch was ended, or the connection is closed. What is shown is old.");
  }
  failed = !values;
}

/** Return the runs, or null where there is no answer. */
async function fetchRuns() {
  try {
    const answer = await fetch("runs.json", { cache: "no-store" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

page.pause.addEventListener("click", () => {
  paused = !paused;
  page.pause.textContent = paused ? "Resume updates" : "Pause updates";
  update();
});

update();
setInterval(update, INTERVAL);
