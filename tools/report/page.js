"use strict";
// Opens the images of a cell, shows the values of the curves at an epoch, and sorts tables. All else works without a script.
const data = JSON.parse(document.getElementById("page-data").textContent);
for (const element of document.querySelectorAll(".scripted")) element.hidden = false;

// Makes an element with attributes and children; text is never read as HTML.
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const names = (text) => make("bdi", {}, text);

// A cell of a confusion matrix is a button; a table is one tab stop, with arrow keys between its buttons.
const panel = document.getElementById("cell");
let opener = null;

for (const table of document.querySelectorAll("table[data-set]")) {
  const cells = [...table.querySelectorAll("td[id]")];
  for (const cell of cells) {
    const button = make("button", { type: "button", tabindex: "-1", "aria-label": describe(table, cell) }, ...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => open(table, cell));
    button.addEventListener("focus", () => enter(table, button));
  }
  if (cells.length) cells[0].firstChild.tabIndex = 0;
  if (table.classList.contains("matrix")) table.setAttribute("role", "grid");
  table.addEventListener("keydown", (event) => move(table, event));
}

function indices(cell) {
  return cell.id.split("-").slice(-2).map(Number);
}

function describe(table, cell) {
  const classes = data.sets[table.dataset.set].classes;
  const [actual, predicted] = indices(cell);
  return `${classes[actual]} ${actual === predicted ? "recognised" : `taken for ${classes[predicted]}`}: ${cell.textContent}`;
}

function enter(table, button) {
  for (const other of table.querySelectorAll('button[tabindex="0"]')) other.tabIndex = -1;
  button.tabIndex = 0;
}

function move(table, event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -1], End: [0, 1] };
  const step = steps[event.key];
  const cell = event.target.closest("td");
  if (!step || !cell || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  let row = cell.parentNode.rowIndex + step[0];
  let column = cell.cellIndex + step[1];
  let found = null;
  while (table.rows[row] && table.rows[row].cells[column]) {
    found = table.rows[row].cells[column].querySelector("button") || found;
    if (found && !["Home", "End"].includes(event.key)) break;
    row += step[0];
    column += step[1];
  }
  if (found) found.focus();
}

function open(table, cell) {
  const set = data.sets[table.dataset.set];
  const [actual, predicted] = indices(cell);
  const body = document.getElementById("cell-images");
  const title = document.getElementById("cell-title");
  body.replaceChildren();
  const verb = actual === predicted ? [" recognised"] : [" taken for ", names(set.classes[predicted])];
  title.replaceChildren(names(set.classes[actual]), ...verb);
  for (const line of table.dataset.lines.split(" ").map(Number)) {
    const found = set.images.filter(([, , label, answers]) => label === actual && answers.some((each) => each[0] === line && each[1] === predicted));
    const total = countIn(line, actual, predicted);
    const heading = make("h4", {}, names(data.lines[line]), `: ${found.length} of ${total} shown`);
    body.append(heading, make("ul", { class: "cards" }, ...found.map((image) => card(set, image, line))));
  }
  document.getElementById("cell-link").href = `#${cell.id}`;
  opener = cell.querySelector("button");
  panel.hidden = false;
  title.focus();
  panel.scrollIntoView({ block: "nearest" });
}

// The number of images in a cell, as its matrix says.
function countIn(line, actual, predicted) {
  const cell = document.getElementById(`matrix-${line}-${actual}-${predicted}`);
  return cell ? cell.querySelector("button").firstChild.textContent.trim() : "0";
}

function card(set, [name, place, actual, answers], line) {
  const [, predicted, tenths, shown] = answers.find((each) => each[0] === line);
  const bars = tenths.map((value, position) => {
    const index = shown ? shown[position] : position;
    const bar = make("li", index === actual ? { class: "actual" } : {}, names(set.classes[index]), ` ${(value / 10).toFixed(1)}%`);
    bar.style.setProperty("--v", value / 10);
    return bar;
  });
  const item = make("li", { class: "card" });
  if (place) {
    const picture = make("span", { class: "picture", role: "img", "aria-label": set.classes[actual] });
    picture.style.setProperty("--x", place[0]);
    picture.style.setProperty("--y", place[1]);
    item.append(picture);
  }
  const verb = actual === predicted ? [] : [", taken for ", names(set.classes[predicted])];
  item.append(make("p", {}, names(set.classes[actual]), ...verb), make("p", {}, make("code", {}, name)), make("ul", { class: "bars" }, ...bars));
  return item;
}

function close() {
  panel.hidden = true;
  if (opener) opener.focus();
}

if (panel) {
  document.getElementById("cell-close").addEventListener("click", close);
  panel.addEventListener("keydown", (event) => event.key === "Escape" && close());
}

// A link to something that is switched off switches it on; one to a cell opens it.
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let element = target; element; element = element.parentElement) {
    const box = element.id && document.getElementById(`show-${element.id}`);
    if (box) box.checked = true;
    if (element.tagName === "DETAILS") element.open = true;
  }
  target.scrollIntoView();
  const button = target.matches("td") && target.querySelector("button");
  if (button) button.click();
}

addEventListener("hashchange", follow);
follow();

// Several matrices stand side by side, in the whole width.
const boxes = [...document.querySelectorAll(".confusions .choices input")];
const widen = () => document.querySelector(".first").classList.toggle("wide", boxes.filter((box) => box.checked).length > 1);
for (const box of boxes) box.addEventListener("change", widen);
widen();

// The values of all curves at one epoch, chosen with the slider or the pointer.
const slider = document.getElementById("epoch");
const charts = [...document.querySelectorAll(".curves .chart")];
slider.max = Math.max(...data.curves.map((curve) => curve.length));

function show() {
  const epoch = Number(slider.value);
  const lines = [`epoch ${epoch}`];
  data.curves.forEach((curve, number) => {
    const box = document.getElementById(`show-revision-${number}`);
    const values = curve.find((each) => each[0] === epoch);
    if (!values || (box && !box.checked)) return;
    const [, accuracy, training, loss, trainingLoss] = values;
    const share = (value) => `${(100 * value).toFixed(1)}%`;
    lines.push(
      `${data.lines[number]}: accuracy ${share(accuracy)} validation, ${share(training)} training; ` +
        `loss ${loss.toFixed(3)} validation, ${trainingLoss.toFixed(3)} training`,
    );
  });
  document.getElementById("epoch-values").textContent = lines.join("\n");
  slider.setAttribute("aria-valuetext", lines.join("; "));
  for (const chart of charts) {
    for (const group of chart.querySelectorAll("[data-box]")) draw(group, epoch);
  }
}

function draw(group, epoch) {
  const [left, top, width, height] = group.dataset.box.split(" ").map(Number);
  const [low, high] = group.dataset.x.split(" ").map(Number);
  let line = group.querySelector(".cursor");
  if (!line) {
    line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    line.setAttribute("class", "cursor");
    group.append(line);
  }
  const x = left + (width * (epoch - low)) / (high - low);
  for (const [key, value] of Object.entries({ x1: x, x2: x, y1: top, y2: top + height })) line.setAttribute(key, value);
}

slider.addEventListener("input", show);
for (const chart of charts) {
  chart.addEventListener("pointermove", (event) => {
    const group = chart.querySelector("[data-box]");
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    const [left, , width] = group.dataset.box.split(" ").map(Number);
    const [low, high] = group.dataset.x.split(" ").map(Number);
    slider.value = Math.round(low + ((high - low) * (point.x - left)) / width);
    show();
  });
}
for (const box of document.querySelectorAll(".curves .choices input")) box.addEventListener("change", () => slider.matches("[aria-valuetext]") && show());

// A click on the head of a column sorts a table by it.
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head, column));
  });
}

function sort(table, head, column) {
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (one, other) => (column ? value(one) - value(other) : value(one).localeCompare(value(other)));
  const rows = [...table.tBodies[0].rows].sort(compare);
  table.tBodies[0].append(...(ascending ? rows : rows.reverse()));
}
