// Arrays as heat maps: blue below zero, red above, nothing at zero; and as tables of numbers on the same colours.
import { number } from "./text.js";

const BLUE = [33, 102, 200];
const RED = [214, 47, 39];
const MOST_ROWS = 40;
const MOST_COLUMNS = 40;
const LINED = 4; // pixels of a cell that has outlines

/** Rows and columns of a picture of an array: leading axes one below the other. */
export function rowsAndColumns(shape) {
  const columns = shape.length ? shape.at(-1) : 1;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return [rows, columns];
}

function largest(data) {
  let most = 0;
  for (const x of data) if (Number.isFinite(x) && Math.abs(x) > most) most = Math.abs(x);
  return most || 1;
}

export function colour(x, most) {
  if (Number.isNaN(x)) return "rgba(128,128,128,.5)";
  const share = Math.min(1, Math.abs(Number(x)) / most) ** 0.8;
  return `rgba(${(x < 0 ? BLUE : RED).join()},${(0.92 * share).toFixed(3)})`;
}

/** A picture with a pixel per element, as large as fits into a frame; cells of some size are told apart by lines. */
export function heatMap(x, label, width, height, cell) {
  const [rows, columns] = rowsAndColumns(x.shape);
  const holder = document.createElement("span");
  holder.className = "heat";
  const size = fit(x.shape, width, height, cell);
  [holder.style.width, holder.style.height] = size.map((extent) => `${extent}px`);
  [columns, rows].forEach((count, k) => {
    if (size[k] / count >= LINED) holder.style.setProperty(k ? "--rows" : "--columns", count);
  });
  const canvas = document.createElement("canvas");
  holder.append(canvas);
  canvas.width = Math.max(1, Math.min(columns, 512));
  canvas.height = Math.max(1, Math.min(rows, 512));
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  const context = canvas.getContext("2d");
  const most = largest(x.data);
  for (let i = 0; i < canvas.height; i++)
    for (let j = 0; j < canvas.width; j++) {
      context.fillStyle = colour(x.data[i * columns + j], most);
      context.fillRect(j, i, 1, 1);
    }
  return holder;
}

/** Width and height that show an array's picture well within a frame, elements as square as may be. */
function fit(shape, width, height, cell = 14) {
  const [rows, columns] = rowsAndColumns(shape);
  return [Math.max(10, Math.min(width, columns * cell)), Math.max(10, Math.min(height, rows * cell))];
}

/** A table of an array's numbers. */
export function table(x, caption) {
  const [rows, columns] = rowsAndColumns(x.shape);
  const most = largest(x.data);
  const element = document.createElement("table");
  element.className = "numbers";
  const title = element.createCaption();
  title.textContent = caption;
  for (let i = 0; i < Math.min(rows, MOST_ROWS); i++) {
    const row = element.insertRow();
    for (let j = 0; j < Math.min(columns, MOST_COLUMNS); j++) {
      const cell = row.insertCell();
      const value = x.data[i * columns + j];
      cell.textContent = number(value, 4);
      cell.title = String(value);
      cell.style.background = colour(value, most * 1.6);
    }
    if (columns > MOST_COLUMNS) row.insertCell().textContent = `… ${columns - MOST_COLUMNS} more`;
  }
  if (rows > MOST_ROWS) element.insertRow().insertCell().textContent = `… ${rows - MOST_ROWS} more rows`;
  return element;
}
