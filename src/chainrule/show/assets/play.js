"use strict";
// The playground's page: asks the server for numbers, and draws them. All training happens in Python.
const key = new URLSearchParams(location.search).get("key");
const $ = (id) => document.getElementById(id);
const COLOURS = [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [110, 110, 110], [184, 168, 0]];
const form = $("settings");
let about = null, state = null, version = -1, busy = false;

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(`${path}?key=${encodeURIComponent(key)}`, options);
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = text;
  try { message = JSON.parse(text).error; } catch { /* plain text */ }
  throw new Error(message);
}
const get = async (path) => (await ask(path)).json();

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

// -- settings

function fill(name, values, chosen) {
  const select = form.elements[name];
  select.replaceChildren(...values.map((v) => new Option(v.split("/").pop(), v, false, v === chosen)));
}

function chosen() {
  const e = form.elements;
  return {
    data: e.data.value, unit: e.unit.value, output: e.output.value, optimizer: e.optimizer.value, penalty: e.penalty.value,
    layers: e.layers.value.split(/[ ,;×x]+/).filter(Boolean).map(Number),
    learning_rate: 10 ** Number(e.learning_rate.value), strength: 10 ** Number(e.strength.value),
    batch_size: 2 ** Number(e.batch_size.value), seed: Number(e.seed.value),
  };
}

function label() {
  const c = chosen(), short = (v) => Number(v.toPrecision(2)).toString();
  $("eta").value = short(c.learning_rate);
  $("lambda").value = c.penalty === "none" ? "" : short(c.strength);
  $("batchsize").value = c.batch_size >= about.rows[0] ? "all rows" : c.batch_size;
  form.elements.strength.disabled = c.penalty === "none";
  // sliders run over exponents: said are the numbers
  for (const [name, shown] of [["learning_rate", "eta"], ["batch_size", "batchsize"], ["strength", "lambda"]])
    form.elements[name].setAttribute("aria-valuetext", $(shown).value);
}

async function learn() {
  about = await get("/about");
  const s = about.settings, c = about.choices, e = form.elements;
  fill("data", c.data, about.data); fill("unit", c.unit, s.unit); fill("output", about.outputs, s.output);
  fill("optimizer", c.optimizer, s.optimizer); fill("penalty", c.penalty, s.penalty);
  e.layers.value = s.layers.join(", ");
  e.learning_rate.value = Math.log10(s.learning_rate); e.batch_size.value = Math.round(Math.log2(s.batch_size));
  e.strength.value = Math.log10(s.strength); e.seed.value = s.seed;
  const others = about.others.length ? `; ${about.others.length} other columns at their typical value` : "";
  $("rows").textContent = `${about.rows[0]} rows to learn, ${about.rows[1]} to watch${others}`;
  $("facts").textContent = `${about.target} · ${about.parameters} parameters`;
  $("legend").replaceChildren(...about.classes.map((name, k) => {
    const item = document.createElement("span"), dot = document.createElement("i");
    dot.style.background = `rgb(${COLOURS[k % 8]})`;
    item.append(dot, name);
    return item;
  }), "hollow: rows that are only watched");
  label();
}

let wanted = null; // what was chosen last, while an earlier choice is still on its way
async function change() {
  wanted = chosen();
  if (busy) return;
  busy = true;
  const running = state && state.running;
  try {
    while (wanted) {
      const next = wanted;
      wanted = null;
      await ask("/set", next);
    }
    $("message").textContent = "";
    await learn();
    if (running) await ask("/do", { action: "run" });
  } catch (error) { $("message").textContent = error.message; }
  busy = false;
  await look(true);
}
form.addEventListener("change", change);
form.addEventListener("input", label);
form.addEventListener("submit", (event) => { event.preventDefault(); change(); });

// -- training

async function act(action, position) {
  try {
    $("message").textContent = "";
    if (state && (action === "run" || action === "pause")) { // at once: the first epoch waits for the compiler
      state.running = action === "run";
      $("run").textContent = state.running ? "Pause" : "Run";
    }
    await ask("/do", { action, position });
  } catch (error) { $("message").textContent = error.message; }
  await look(true);
}
$("run").onclick = () => act(state && state.running ? "pause" : "run");
$("step").onclick = () => act("step");
$("epoch").onclick = () => act("epoch");
$("reset").onclick = () => act("reset");
$("pace").onchange = () => act("pace", Number($("pace").value));
let going = 0;
$("past").oninput = () => { clearTimeout(going); going = setTimeout(() => act("back", Number($("past").value)), 60); };
addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, button, dialog *")) return;
  const action = { " ": state && state.running ? "pause" : "run", ArrowRight: event.shiftKey ? "epoch" : "step", r: "reset", R: "reset" }[event.key];
  if (action) { event.preventDefault(); act(action); }
});

async function save(path, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await ask(path)).blob());
  link.download = name; link.click();
}
$("model").onclick = () => save("/model", "playground.chainrule").catch((error) => { $("message").textContent = error.message; });
$("graph").onclick = () => open(`/graph?key=${encodeURIComponent(key)}`, "_blank", "noreferrer");
$("code").onclick = async () => {
  document.querySelector("#dialog pre").textContent = await (await ask("/code")).text();
  $("dialog").showModal();
};
document.querySelector("#dialog button").onclick = () => $("dialog").close();

// -- drawing

function sharp(canvas) {
  const box = canvas.getBoundingClientRect(), scale = devicePixelRatio || 1;
  const w = Math.max(1, Math.round(box.width * scale)), h = Math.max(1, Math.round(box.height * scale));
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  return [pen, box.width, box.height];
}
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const ink = () => getComputedStyle(document.body).color;

function image(width, height, pixel) {
  const canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  const pen = canvas.getContext("2d"), data = pen.createImageData(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const at = 4 * ((height - 1 - y) * width + x), [r, g, b] = pixel(x, y);
    data.data[at] = r; data.data[at + 1] = g; data.data[at + 2] = b; data.data[at + 3] = 255;
  }
  pen.putImageData(data, 0, 0);
  return canvas;
}
const mix = (a, b, t) => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const ground = () => (dark() ? [26, 32, 41] : [255, 254, 251]);

function ticks(low, high, count = 5) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= rough), out = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) out.push(Number(v.toPrecision(10)));
  return out;
}

function picture() {
  const [pen, w, h] = sharp($("picture")), p = state.picture;
  const left = 52, bottom = 40, top = 14, right = 14, iw = w - left - right, ih = h - top - bottom;
  const [x0, x1] = about.extent[0], [y0, y1] = about.range || about.extent[1];
  const X = (v) => left + ((v - x0) / (x1 - x0)) * iw, Y = (v) => top + ih - ((v - y0) / (y1 - y0)) * ih;
  if (p.kind === "classes") {
    const planes = p.planes.map(bytes), base = ground();
    const made = image(p.size, p.size, (x, y) => {
      const at = y * p.size + x;
      let c = [0, 0, 0], sum = 0;
      planes.forEach((plane, k) => { const q = (plane[at] / 255) ** 1.3; sum += q; c = c.map((v, i) => v + q * COLOURS[k % 8][i]); });
      return mix(base, c.map((v) => v / (sum || 1)), dark() ? 0.42 : 0.62);
    });
    pen.imageSmoothingQuality = "high";
    pen.drawImage(made, left, top, iw, ih);
  } else if (p.kind === "density") {
    const plane = bytes(p.plane), base = ground(), [nx, ny] = p.size;
    pen.drawImage(image(nx, ny, (x, y) => mix(base, COLOURS[0], 0.75 * (plane[x * ny + y] / 255))), left, top, iw, ih);
    pen.strokeStyle = ink(); pen.lineWidth = 2; pen.beginPath();
    p.mean.forEach((m, k) => pen.lineTo(X(x0 + ((x1 - x0) * k) / (p.mean.length - 1)), Math.max(top, Math.min(top + ih, Y(m)))));
    pen.stroke();
  }
  pen.save();
  pen.beginPath(); pen.rect(left, top, iw, ih); pen.clip();
  for (const point of about.points) {
    const held = point[point.length - 1], value = point[point.length - 2];
    const [px, py] = p.kind === "density" || about.range ? [X(point[0]), Y(value)] : [X(point[0]), Y(point[1])];
    pen.beginPath(); pen.arc(px, py, held ? 3 : 3.6, 0, 7);
    const plain = about.range ? COLOURS[1] : COLOURS[value % 8], c = dark() ? mix(plain, [255, 255, 255], 0.3) : plain;
    pen.fillStyle = held ? `rgb(${ground()})` : `rgb(${c})`; pen.fill();
    pen.strokeStyle = held ? `rgb(${c})` : dark() ? "#000c" : "#fffc"; pen.lineWidth = held ? 1.6 : 1; pen.stroke();
  }
  pen.restore();
  pen.fillStyle = colour("--soft").startsWith("light") ? ink() : colour("--soft");
  pen.fillStyle = getComputedStyle($("rows")).color;
  pen.font = "12px system-ui, sans-serif";
  pen.textAlign = "center"; pen.textBaseline = "top";
  for (const v of ticks(x0, x1)) pen.fillText(v, X(v), top + ih + 6);
  pen.fillText(about.axes[0], left + iw / 2, top + ih + 22);
  pen.textAlign = "right"; pen.textBaseline = "middle";
  for (const v of ticks(y0, y1)) pen.fillText(v, left - 6, Y(v));
  pen.save(); pen.translate(13, top + ih / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center";
  pen.fillText(about.range ? about.target : about.axes[1], 0, 0);
  pen.restore();
}

function losses() {
  const [pen, w, h] = sharp($("losses")), { epochs, training, validation } = state.losses;
  if (!epochs.length) {
    $("training").textContent = $("validation").textContent = "";
    pen.font = "13px system-ui, sans-serif"; pen.fillStyle = getComputedStyle($("rows")).color;
    pen.fillText("from the first epoch on", 0, h / 2);
    return;
  }
  const all = [...training, ...validation].filter(Number.isFinite);
  let low = Math.min(...all), high = Math.max(...all.slice(0)), left = 40;
  const sorted = [...all].sort((a, b) => a - b);
  high = Math.min(high, sorted[Math.floor(0.98 * (sorted.length - 1))] + 0.5 * (sorted[Math.floor(0.98 * (sorted.length - 1))] - low) + 1e-9);
  const least = 0.02 * Math.max(Math.abs(low), Math.abs(high), 1e-3); // so that a flat curve looks flat
  if (high - low < least) { low -= least / 2; high += least / 2; }
  const X = (e) => left + ((e - 1) / Math.max(1, epochs[epochs.length - 1] - 1)) * (w - left - 4), Y = (v) => 6 + (1 - (v - low) / (high - low)) * (h - 24);
  pen.font = "11px system-ui, sans-serif"; pen.fillStyle = getComputedStyle($("rows")).color; pen.strokeStyle = pen.fillStyle;
  pen.textAlign = "right"; pen.textBaseline = "middle"; pen.lineWidth = 0.4;
  for (const v of ticks(low, high, 3)) {
    pen.globalAlpha = 0.35; pen.beginPath(); pen.moveTo(left, Y(v)); pen.lineTo(w, Y(v)); pen.stroke(); pen.globalAlpha = 1;
    pen.fillText(Number(v.toPrecision(4)), left - 5, Y(v));
  }
  pen.textBaseline = "top"; pen.fillText(`epoch ${epochs[epochs.length - 1]}`, w - 2, h - 14);
  [[training, COLOURS[0]], [validation, COLOURS[1]]].forEach(([line, c]) => {
    pen.strokeStyle = `rgb(${c})`; pen.lineWidth = 1.8; pen.lineJoin = "round"; pen.beginPath();
    line.forEach((v, k) => pen.lineTo(X(epochs[k]), Math.max(2, Y(v))));
    pen.stroke();
    if (line.length === 1) { pen.beginPath(); pen.arc(X(1), Y(line[0]), 3, 0, 7); pen.fillStyle = pen.strokeStyle; pen.fill(); }
  });
  $("training").textContent = training[training.length - 1].toPrecision(4);
  $("validation").textContent = validation[validation.length - 1].toPrecision(4);
}

function units() {
  const two = !about.range, n = 24, base = ground();
  $("units").replaceChildren(...state.units.map((layer, k) => {
    const box = document.createElement("div"), title = document.createElement("small");
    box.className = "layer";
    const width = about.settings.layers[k];
    title.textContent = `layer ${k + 1}` + (layer.length < width ? `, the first ${layer.length} of ${width}` : "");
    const named = (canvas, unit) => {
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `layer ${k + 1}, unit ${unit + 1}: its value over the shown columns`);
      return canvas;
    };
    box.append(title, ...layer.map((text, unit) => {
      const values = bytes(text);
      if (two) return named(image(n, n, (x, y) => { const v = values[y * n + x] / 255; return v > 0.5 ? mix(base, COLOURS[1], 2 * v - 1) : mix(base, COLOURS[0], 1 - 2 * v); }), unit);
      const canvas = document.createElement("canvas");
      canvas.className = "line"; canvas.width = 140; canvas.height = 52;
      const pen = canvas.getContext("2d");
      pen.strokeStyle = `rgb(${COLOURS[0]})`; pen.lineWidth = 3; pen.beginPath();
      values.forEach((v, i) => pen.lineTo((140 * i) / (values.length - 1), 48 - (44 * v) / 255));
      pen.stroke();
      return named(canvas, unit);
    }));
    return box;
  }));
}

function weights() {
  const base = ground();
  $("weights").replaceChildren(...state.weights.map((m) => {
    const box = document.createElement("div"), title = document.createElement("small"), values = bytes(m.pixels);
    box.className = "matrix";
    title.textContent = `${m.name} ${m.shape.join(" × ")}, largest ${m.largest.toPrecision(3)}` + (m.zeros ? `, ${m.zeros} exactly zero` : "");
    const made = image(m.columns, m.rows, (x, y) => { const v = values[(m.rows - 1 - y) * m.columns + x] / 127.5 - 1; return v > 0 ? mix(base, COLOURS[1], v) : mix(base, COLOURS[0], -v); });
    made.style.width = `${Math.min(300, 14 * m.columns)}px`; made.style.height = `${Math.min(300, 14 * m.rows)}px`;
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", title.textContent);
    box.append(title, made);
    return box;
  }));
}

function draw() {
  $("run").textContent = state.running ? "Pause" : "Run";
  $("moment").value = `epoch ${state.epoch}` + (state.batch ? `, batch ${state.batch} of ${state.batches}` : "");
  $("past").max = state.past - 1; $("past").value = state.past - 1;
  $("begin").hidden = state.running || state.epoch > 0 || state.batch > 0;
  if (state.message) $("message").textContent = state.message;
  picture(); losses(); units(); weights();
}

async function look(now) {
  try {
    const [latest, running] = await get("/version");
    if (now || latest !== version || (state && running !== state.running)) { state = await get("/state"); version = state.version; draw(); }
  } catch (error) { $("message").textContent = "the playground has been closed in the terminal"; }
}
async function watch() {
  if (!document.hidden && !busy) await look(false);
  setTimeout(watch, state && state.running ? 90 : 300);
}
addEventListener("resize", () => state && draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state && draw());
learn().then(() => look(true)).then(() => { window.ready = true; watch(); }).catch((error) => { $("message").textContent = error.message; });
