// The picture: boxes, arrows, and the window through which one looks at them.
import { heatMap } from "./heat.js";
import { compose } from "./place.js";
import { BACKWARD, FORWARD } from "./state.js";
import { escape, fill, math, nameMath, number, numberMath, shapeText, spread } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const CLOSEST = 2.5;
const [LEGIBLE, WHOLE] = [0.72, 0.52]; // no smaller at first, of a part and of all: else one rather sees a part
const EDGE = 40; // a step nearer to the edge is brought to the middle, so that one sees where it goes on
const LARGEST_PICTURE = 9000; // pixels across
const SHEET = [680, 820]; // pixels of a printed page that the picture may take, on A4 and on letter
const LABELLED = 80; // where there are more arrows, only those of the present step have their numbers

/** What a node's formula looks like with names, or with numbers where all of them are. */
export function formulaMath(state, node, withNumbers = false) {
  const { nodes, templates } = state.story;
  const { formula, inputs } = nodes[node];
  if (!formula) return "";
  const slots = inputs.map((i) => {
    if (nodes[i].literal) return numberMath(state.value(i).data[0], true);
    return withNumbers ? numberMath(state.value(i).data[0], true) : nameMath(nodes[i].name);
  });
  const text = fill(templates[formula], slots);
  return withNumbers ? text.replaceAll("<mo>·</mo>", "<mo>×</mo>") : text;
}

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/**
 * A smooth line through points, at each of them in the direction of the layers, so that it stays clear of the boxes beside
 * it, as in chainrule.show.svg; without the part that leads through the first so many points alone.
 */
function curve(points, drawn, direction) {
  const start = Math.max(0, Math.min(drawn, points.length - 1) - 1);
  let path = `M${points[start]}`;
  for (let k = start + 1; k < points.length; k++) {
    const [[x0, y0], [x1, y1]] = [points[k - 1], points[k]];
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    if (direction === "down") path += x0 === x1 ? `V${y1}` : `C${x0} ${y} ${x1} ${y} ${x1} ${y1}`;
    else path += y0 === y1 ? `H${x1}` : `C${x} ${y0} ${x} ${y1} ${x1} ${y1}`;
  }
  return path;
}

/** Where on a line's last bend a word stands in nobody's way; the first of the places where there is none. */
function place(points, direction, words, taken) {
  const long = ([x, y], k) => k && Math.abs(x - points[k - 1][0]) + Math.abs(y - points[k - 1][1]) > 30;
  const k = Math.max(points.findLastIndex(long), 1);
  const [[x0, y0], [x1, y1]] = [points[k - 1], points[k]];
  const half = 3.6 * words.length + 4;
  const places = [0.5, 0.7, 0.3, 0.85, 0.15].map((t) => {
    const [steep, flat] = [3 * t * t - 2 * t * t * t, 1.5 * t - 1.5 * t * t + t * t * t];
    const [across, along] = direction === "down" ? [steep, flat] : [flat, steep];
    return { x: x0 + across * (x1 - x0), y: y0 + along * (y1 - y0) + 4 };
  });
  const free = ({ x, y }) => taken.every((other) => Math.abs(other.x - x) > other.half + half || Math.abs(other.y - y) > 14);
  const chosen = places.find(free) ?? places[0];
  taken.push({ ...chosen, half });
  return chosen;
}

/** For each edge how many of its points one from the same box before it passes too: what they share is drawn once. */
function shared(edges) {
  const known = new Map();
  const counts = new Map();
  for (const edge of [...edges].sort((a, b) => a.points.length - b.points.length)) {
    if (!known.has(edge.source)) known.set(edge.source, new Map());
    let [passed, count] = [known.get(edge.source), 0];
    for (const point of edge.points) {
      const name = point.join();
      if (passed.has(name)) count++;
      else passed.set(name, new Map());
      passed = passed.get(name);
    }
    counts.set(edge, count);
  }
  return counts;
}

export class Stage {
  constructor(state, frame) {
    this.state = state;
    this.frame = frame;
    this.world = frame.querySelector(".world");
    this.lines = frame.querySelector(".arrows");
    this.view = { x: 0, y: 0, scale: 1 };
    this.boxes = new Map();
    const { parameters } = state.story;
    this.parameters = new Set(parameters.length < state.given.length ? parameters : []); // marked where not everything is one
    this.listenToPointer();
    this.build();
    this.first();
  }

  // -- drawing

  build() {
    const { state } = this;
    this.plan = compose(state.story, state.chains, state.opened);
    this.boxes.clear();
    const made = this.plan.boxes.map((box) => this.makeBox(box));
    this.world.querySelectorAll(".box, .frame").forEach((old) => old.remove());
    this.world.append(...made);
    this.world.style.width = `${this.plan.width}px`;
    this.world.style.height = `${this.plan.height}px`;
    this.makeArrows();
    this.refresh();
  }

  makeBox(box) {
    const group = typeof box.key === "string";
    const element = document.createElement("div");
    element.className = box.open ? "frame" : group ? "box group" : "box";
    for (const [side, value] of [["left", box.x], ["top", box.y], ["width", box.width], ["height", box.height]])
      element.style[side] = `${value}px`;
    element.dataset.key = box.key;
    if (group) this.fillGroup(element, box);
    else this.fillNode(element, box.key);
    this.boxes.set(box.key, { element, box, shown: "" });
    return element;
  }

  fillGroup(element, box) {
    const group = this.state.story.groups.find((g) => g.path === box.key);
    const own = group.nodes.filter((k) => !this.state.story.nodes[k].literal);
    element.innerHTML = box.open
      ? `<button class="title" aria-expanded="true" title="Fold ${escape(group.name)}"><span>▾</span> ${escape(group.name)}</button>`
      : `<button class="title" aria-expanded="false" title="Open ${escape(group.name)}"><span>▸</span> ${escape(group.name)}</button>
         <div class="inside">${own.length} values</div><div class="bars"><i class="value"></i><i class="gradient"></i></div>`;
    element.querySelector("button").addEventListener("click", () => this.state.toggle(box.key));
    if (!box.open) element.addEventListener("dblclick", () => this.state.toggle(box.key));
  }

  fillNode(element, key) {
    const node = this.state.story.nodes[key];
    const formula = formulaMath(this.state, key);
    element.setAttribute("role", "button");
    element.tabIndex = 0;
    if (!node.inputs.length) element.classList.add("given");
    const cost = key === this.state.story.cost;
    const badge = cost ? "cost" : this.parameters.has(key) ? "parameter" : "";
    if (badge) element.classList.add(badge);
    element.innerHTML =
      (badge && `<div class="badge">${badge}</div>`) + `<div class="what">${math(nameMath(node.name) + (formula ? `<mo>=</mo>${formula}` : ""))}</div>` +
      `<div class="cells"><div class="value" title="value"></div><div class="gradient" title="gradient"></div></div>`;
    element.addEventListener("click", () => this.state.select(key));
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.state.select(key);
    });
  }

  makeArrows() {
    this.labelled = this.plan.edges.length <= LABELLED;
    this.lines.querySelectorAll("g").forEach((old) => old.remove());
    this.lines.setAttribute("width", this.plan.width);
    this.lines.setAttribute("height", this.plan.height);
    const counts = shared(this.plan.edges);
    const { direction } = this.state.story.levels[""];
    const taken = []; // where numbers stand already
    this.arrows = this.plan.edges.map((edge) => {
      const group = svg("g", { class: "arrow" });
      const path = svg("path", { d: curve(edge.points, counts.get(edge), direction), "marker-end": "url(#head)" });
      group.append(path);
      const known = edge.arrows.flatMap(([source, target]) => this.state.arrowsFrom[source].filter((a) => a.target === target));
      let label = null;
      if (known.length && typeof edge.source === "number" && typeof edge.target === "number" && this.words(known)) {
        label = svg("text", place(edge.points, direction, this.words(known), taken));
        if (this.labelled) group.append(label);
      }
      this.lines.append(group);
      return { edge, group, label, known };
    });
  }

  /** The local derivatives along arrows from one node to another, in a few letters. */
  words(arrows) {
    const { nodes, templates } = this.state.story;
    const one = ({ kind, local, brief, target }) => {
      if (kind === "pulled back")
        return fill(templates[brief], nodes[target].inputs.map((i) => (nodes[i].literal ? number(this.state.value(i).data[0], 4) : nodes[i].name.split(".").at(-1))));
      return `${kind === "number" ? "×" : "⊙ "}${spread(this.state.numbers[local])}`.replace(/^⊙ (?=[^(…]*$)/, "×");
    };
    return arrows.map(one).filter(Boolean).join(" ");
  }

  // -- bringing the picture up to date

  refresh() {
    const { state } = this;
    const current = state.move && state.move.node !== null ? this.plan.visible(state.move.node) : null;
    for (const [key, shown] of this.boxes) {
      const { classList } = shown.element;
      classList.toggle("current", key === current);
      classList.toggle("selected", key === state.selected);
      if (typeof key === "number") this.refreshNode(key, shown);
      else if (!shown.box.open) this.refreshGroup(key, shown);
    }
    const active = new Set();
    if (state.move?.kind === FORWARD) state.story.nodes[state.move.node].inputs.forEach((i) => active.add(`${i},${state.move.node}`));
    if (state.move?.kind === BACKWARD) state.arrowsFrom[state.move.node].forEach((a) => active.add(`${a.source},${a.target}`));
    for (const { edge, group, label, known } of this.arrows) {
      const passed = edge.arrows.some(([source, target]) =>
        state.gradientKnown(source) && state.arrowsFrom[source].some((a) => a.target === target));
      const now = edge.arrows.some((ends) => active.has(ends.join()));
      const forward = edge.arrows.every(([source]) => state.valueKnown(source));
      group.setAttribute("class", ["arrow", forward ? "forward" : "", passed ? "backward" : "", now ? "active" : ""].join(" "));
      if (label && !this.labelled && now !== label.isConnected) now ? group.append(label) : label.remove();
      if (label?.isConnected) label.textContent = passed ? this.words(known) : "";
    }
  }

  refreshNode(key, shown) {
    const { state } = this;
    const [value, gradient] = [state.valueKnown(key), state.gradientKnown(key)];
    const now = `${value}${gradient}${state.version}`;
    if (now === shown.shown) return;
    shown.shown = now;
    const { element } = shown;
    element.classList.toggle("known", value);
    element.classList.toggle("graded", gradient);
    this.cell(element.querySelector(".value"), value ? state.value(key) : null, "value", key);
    this.cell(element.querySelector(".gradient"), gradient ? state.gradient(key) : null, "gradient", key);
    const node = state.story.nodes[key];
    const say = (x) => (x.data.length === 1 ? number(x.data[0]) : `array ${shapeText(x.shape)}`);
    element.setAttribute(
      "aria-label",
      `${node.name}, ${node.op}, ${shapeText(node.shape)}` +
        (value ? `, value ${state.wordsFor(key, state.value(key).data[0]) ?? say(state.value(key))}` : "") +
        (gradient ? `, gradient ${say(state.gradient(key))}` : ""),
    );
  }

  cell(cell, x, what, key) {
    cell.classList.toggle("blank", !x);
    if (!x) cell.replaceChildren();
    else if (x.data.length === 1) {
      const words = what === "value" ? this.state.wordsFor(key, x.data[0]) : null;
      const written = [5, 3, 2].map((digits) => number(x.data[0], digits));
      cell.textContent = words ?? written.find((text) => text.length <= 8) ?? written[2];
      cell.classList.toggle("long", cell.textContent.length > 6);
      cell.title = `${what} ${x.data[0]}`;
    } else {
      const shape = document.createElement("small");
      shape.textContent = shapeText(x.shape);
      cell.replaceChildren(heatMap(x, `${what}, ${shapeText(x.shape)}`, 76, 44), shape);
    }
  }

  refreshGroup(path, { element }) {
    const { state } = this;
    const own = state.story.groups.find((g) => g.path === path).nodes.filter((k) => !state.story.nodes[k].literal);
    const graded = own.filter((k) => state.backwardAt.has(k));
    const known = own.filter((k) => state.valueKnown(k)).length;
    const back = graded.filter((k) => state.gradientKnown(k)).length;
    element.querySelector(".bars .value").style.width = `${(100 * known) / own.length}%`;
    element.querySelector(".bars .gradient").style.width = graded.length ? `${(100 * back) / graded.length}%` : "0";
    element.classList.toggle("known", known === own.length);
    element.classList.toggle("graded", graded.length > 0 && back === graded.length);
    element.setAttribute("aria-label", `group, ${known} of ${own.length} values, ${back} of ${graded.length} gradients known`);
  }

  // -- the window

  move(x, y, scale) {
    this.view = { x, y, scale };
    this.room = this.size();
    this.refit = null;
    // while it moves it is one picture, where that is not too large; at rest its text is set anew, sharp
    clearTimeout(this.rest);
    const longest = Math.max(1, scale) * Math.max(this.plan.width, this.plan.height);
    this.world.style.willChange = longest < LARGEST_PICTURE ? "transform" : "auto";
    this.rest = setTimeout(() => (this.world.style.willChange = "auto"), 250);
    this.world.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  }

  size() {
    const { width, height } = this.frame.getBoundingClientRect();
    return [width, height];
  }

  whole() {
    const [width, height] = this.size();
    const scale = Math.min(1.15, (width - 48) / this.plan.width, (height - 48) / this.plan.height);
    this.move((width - scale * this.plan.width) / 2, (height - scale * this.plan.height) / 2, scale);
    this.refit = () => this.whole();
  }

  /** How all of it is printed, whatever part of it is on the screen. */
  fitToSheet() {
    const { width, height } = this.plan;
    const scale = Math.min(1, SHEET[0] / width, SHEET[1] / height);
    for (const [name, size] of [["width", `${scale * width}px`], ["height", `${scale * height}px`], ["scale", scale]])
      this.frame.style.setProperty(`--sheet-${name}`, size);
  }

  /** What one sees first: all of it, if it can be read then; else the place where it begins. */
  first() {
    this.whole();
    const begin = this.state.moves.find(({ kind }) => kind === FORWARD);
    if (this.view.scale < WHOLE && begin) this.centre(this.boxes.get(this.plan.visible(begin.node)).box, LEGIBLE);
    this.refit = () => this.first();
  }

  /** The window has another size: a view that was fitted to it is fitted anew, else its middle stays where it was. */
  resized() {
    const [[width, height], before] = [this.size(), this.room];
    if (width === before[0] && height === before[1]) return;
    if (this.refit) this.refit();
    else this.move(this.view.x + (width - before[0]) / 2, this.view.y + (height - before[1]) / 2, this.view.scale);
  }

  /** Draw anew after groups were opened or folded; the one that was clicked stays where it is. */
  rebuild() {
    const before = this.boxes.get(this.state.toggled)?.box;
    this.build();
    const now = this.boxes.get(this.state.toggled)?.box;
    const { x, y, scale } = this.view;
    if (before && now) this.move(x + scale * (before.x - now.x), y + scale * (before.y - now.y), scale);
    else this.move(x, y, scale);
  }

  zoom(factor, at) {
    const [px, py] = at ?? this.size().map((extent) => extent / 2);
    const { x, y, scale } = this.view;
    const next = Math.max(0.02, Math.min(CLOSEST, scale * factor));
    this.move(px - ((px - x) * next) / scale, py - ((py - y) * next) / scale, next);
  }

  /** Bring a node into sight if it is out of it. */
  follow(node, closer = false) {
    const { box } = this.boxes.get(this.plan.visible(node)) ?? {};
    if (!box) return;
    const [width, height] = this.size();
    if (closer && this.view.scale < 0.6) this.view.scale = 1;
    const { scale } = this.view;
    const [left, top] = [this.view.x + scale * box.x, this.view.y + scale * box.y];
    const near = (begin, extent, room, edge) => begin > edge && begin + extent < room - edge;
    // where all of the picture is in sight there is nothing beyond the edge
    const edge = (begin, extent, room) => (near(begin, extent, room, 0) ? 0 : EDGE);
    const beside = edge(this.view.x, scale * this.plan.width, width);
    const above = edge(this.view.y, scale * this.plan.height, height);
    const inside = near(left, scale * box.width, width, beside) && near(top, scale * box.height, height, above);
    if (inside && !closer) return;
    this.centre(box, scale);
  }

  /** A box in the middle, but without showing what lies beyond the picture. */
  centre(box, scale) {
    const place = (room, extent, middle) =>
      extent + 48 <= room ? (room - extent) / 2 : Math.min(24, Math.max(room - 24 - extent, room / 2 - middle));
    const [width, height] = this.size();
    const x = place(width, scale * this.plan.width, scale * (box.x + box.width / 2));
    this.move(x, place(height, scale * this.plan.height, scale * (box.y + box.height / 2)), scale);
  }

  listenToPointer() {
    const { frame } = this;
    const fingers = new Map();
    let apart = 0;
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { left, top } = frame.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), [event.clientX - left, event.clientY - top]);
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button, .box")) return;
      fingers.set(event.pointerId, event);
      frame.setPointerCapture(event.pointerId);
      frame.classList.add("dragging");
    });
    frame.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      fingers.set(event.pointerId, event);
      if (fingers.size === 1) this.move(this.view.x + event.clientX - before.clientX, this.view.y + event.clientY - before.clientY, this.view.scale);
      else {
        const [a, b] = [...fingers.values()];
        const distance = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
        if (apart) this.zoom(distance / apart);
        apart = distance;
      }
    });
    for (const end of ["pointerup", "pointercancel"])
      frame.addEventListener(end, (event) => {
        fingers.delete(event.pointerId);
        apart = 0;
        frame.classList.remove("dragging");
      });
  }
}
