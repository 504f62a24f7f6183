// What there is to say: the step in one line, and everything about one node beside the picture.
import { heatMap, table } from "./heat.js";
import { formulaMath } from "./stage.js";
import { BACKWARD, GIVEN, UPDATE } from "./state.js";
import { arrayMath, escape, fill, math, nameMath, number, numberMath, partial, shapeText } from "./text.js";

const MOST_TERMS = 6;
const MOST_GIVEN = 8;
const MOST_FACTORS = 4; // elements of arrays that are written out as factors
const MOST_ROWS = 30; // parameters in the table of a gradient step
const FEW = 24; // so many numbers are shown at once

const single = (x) => x.data.length === 1;

/** What the cost is called in ∂J/∂x. */
function costName({ story: { nodes, cost } }) {
  return cost === null ? "J" : nodes[cost].name;
}

/** The gradient of a node as a sum over its arrows: names, numbers, and words for the ear. */
function chainRule(state, node) {
  const { nodes, cost, templates } = state.story;
  const z = costName(state);
  const left = partial(nameMath(z), nameMath(nodes[node].name));
  const arrows = state.arrowsFrom[node];
  const total = state.gradient(node);
  const spoken = `the derivative of ${z} by ${nodes[node].name}`;
  if (node === cost && !arrows.length)
    return { names: `${left}<mo>=</mo><mn>1</mn>`, numbers: "", spoken: `${spoken} is 1: here back-propagation starts` };
  const terms = arrows.slice(0, MOST_TERMS).map((arrow) => {
    const target = nodes[arrow.target];
    const outer = partial(nameMath(z), nameMath(target.name));
    if (arrow.kind === "pulled back") {
      const slots = target.inputs.map((i) => (nodes[i].literal ? numberMath(state.value(i).data[0]) : nameMath(nodes[i].name)));
      return arrow.template
        ? `<mrow>${fill(templates[arrow.template], slots, outer)}</mrow>`
        : `${outer}<mtext>&#160;pulled back through ${escape(target.op)}</mtext>`;
    }
    const sign = arrow.kind === "number" ? "·" : "⊙";
    return `${outer}<mo>${sign}</mo>${partial(nameMath(target.name), nameMath(nodes[node].name))}`;
  });
  const more = arrows.length > MOST_TERMS ? "<mo>+</mo><mo>…</mo>" : "";
  const names = `${left}<mo>=</mo>${terms.join("<mo>+</mo>")}${more}`;
  const said = single(total) ? number(total.data[0]) : `an array ${shapeText(total.shape)}`;
  if (!arrows.every((arrow) => arrow.kind === "number") || arrows.length > MOST_TERMS) {
    // factors are written out where all of them are small
    const written = arrows.map((arrow) => {
      const [outer, local] = [state.gradient(arrow.target), arrow.local === null ? null : state.numbers[arrow.local]];
      const same = local && shapeText(local.shape) === shapeText(state.value(node).shape);
      const pair = same && outer.data.length <= MOST_FACTORS ? [arrayMath(outer, 3), arrayMath(local, 3)] : ["", ""];
      return pair[0] && pair[1] ? `${pair[0]}<mo>⊙</mo>${pair[1]}` : "";
    });
    const factors = arrows.length <= 2 && written.every(Boolean) ? `<mo>=</mo>${written.join("<mo>+</mo>")}` : "";
    const result = arrayMath(total);
    return { names, numbers: factors + (result && `<mo>=</mo>${result}`), spoken: `${spoken} is ${said}` };
  }
  const factors = arrows.map((arrow) => [state.gradient(arrow.target).data[0], state.numbers[arrow.local].data[0]]);
  const products = factors.map(([a, b], k) => `${numberMath(a, k > 0)}<mo>×</mo>${numberMath(b, true)}`);
  const numbers = `<mo>=</mo>${products.join("<mo>+</mo>")}<mo>=</mo>${numberMath(total.data[0])}`;
  const multiplied = factors.map(([a, b]) => `${number(a)} times ${number(b)}`).join(" plus ");
  return { names, numbers, spoken: `${spoken} is ${multiplied}, which is ${said}` };
}

/** What gradient steps have done so far. */
function taken({ costs }) {
  const steps = costs.length - 1;
  return steps ? `${steps} step${steps > 1 ? "s" : ""} taken: cost ${number(costs[0], 5)} → ${number(costs.at(-1), 5)}` : "";
}

/** The current step: MathML for the eye and words for the ear. */
export function narration(state) {
  const { move, story } = state;
  if (!move)
    return {
      label: "Start",
      html: `Press <kbd>→</kbd> to compute the values one by one${story.cost === null ? "" : ", then the gradients backwards"}.`,
      spoken: "Start. Press the right arrow key to go on.",
    };
  if (move.kind === UPDATE) {
    const eta = number(state.rate);
    return {
      label: "Gradient step",
      html: `${math("<mi>θ</mi><mo>←</mo><mi>θ</mi><mo>−</mo><mi>η</mi><mo>·</mo>" + partial(nameMath(costName(state)), "<mi>θ</mi>"), true)}
        <span class="words">${taken(state) || `against the gradient, with η = ${eta}: press <b>Take the step</b>`}</span>`,
      spoken: taken(state) || `All gradients are known. A gradient step with rate ${eta} moves every parameter against its gradient.`,
    };
  }
  if (move.kind === GIVEN) {
    const numbers = state.given.map((k) => [story.nodes[k].name, state.value(k), state.wordsFor(k, state.value(k).data[0])]);
    const is = ([name, x, words]) => nameMath(name) + (single(x) ? `<mo>=</mo>${words ? `<mtext>${escape(words)}</mtext>` : numberMath(x.data[0])}` : "");
    const more = numbers.length > MOST_GIVEN ? `<span class="words">and ${numbers.length - MOST_GIVEN} more</span>` : "";
    return {
      label: "Given",
      html: numbers.slice(0, MOST_GIVEN).map((each) => math(is(each))).join('<span class="comma">,</span>') + more,
      spoken: `Given are ${numbers.map(([name, x, words]) => (single(x) ? `${name}, ${words ?? number(x.data[0])}` : `${name}, an array ${shapeText(x.shape)}`)).join("; ")}`,
    };
  }
  const node = story.nodes[move.node];
  if (move.kind === BACKWARD) {
    const { names, numbers, spoken } = chainRule(state, move.node);
    return { label: "Backward", html: math(names + numbers, true), spoken };
  }
  const value = state.value(move.node);
  const result = single(value) ? numberMath(value.data[0]) : arrayMath(value);
  const shape = single(value) ? "" : `<span class="words">${shapeText(value.shape)}</span>`;
  const said = single(value) ? number(value.data[0]) : `an array ${shapeText(value.shape)}`;
  const scalars = node.inputs.every((i) => single(state.value(i)));
  const steps = [nameMath(node.name), formulaMath(state, move.node)];
  if (scalars && node.inputs.some((i) => !story.nodes[i].literal)) steps.push(formulaMath(state, move.node, true));
  if (result) steps.push(result);
  return {
    label: "Forward",
    html: math(steps.join("<mo>=</mo>"), true) + shape,
    spoken: `${node.name} is ${node.op} of ${node.inputs.map((i) => story.nodes[i].literal ? number(state.value(i).data[0]) : story.nodes[i].name).join(" and ")}: ${said}`,
  };
}

// -- the panel's parts

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "html") made.innerHTML = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A number, or a heat map that opens to numbers. */
function shown(x, what, className) {
  if (single(x)) return element("output", { class: `big ${className}`, title: String(x.data[0]) }, number(x.data[0]));
  const holder = element("div", { class: `array ${className}` });
  const opened = () => table(x, `${what}, ${shapeText(x.shape)}`);
  if (x.data.length <= FEW) holder.append(opened());
  else {
    const button = element("button", { class: "open", "aria-expanded": "false", title: "Show the numbers", onclick: () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      holder.querySelector("table")?.remove();
      if (!open) holder.append(opened());
    } }, heatMap(x, what, 300, 180, 18), element("small", {}, `${shapeText(x.shape)} · numbers`));
    holder.append(button);
  }
  return holder;
}

function nodeLink(state, node) {
  return element("button", { class: "link", html: math(nameMath(state.story.nodes[node].name)), onclick: () => {
    state.reveal(node);
    state.select(node);
  } });
}

const FORMS = { "(": "prefix", ")": "postfix", "=": "infix", "+": "infix", "−": "infix", "·": "infix", "⊙": "infix", "×": "infix" };

/** Let a formula that is wider than its place go on in the next line: before an operation, after a comma, between words. */
function wrapped(place) {
  if (place.scrollWidth <= place.clientWidth) return;
  for (const formula of place.querySelectorAll("math")) {
    const lines = [[]];
    for (const part of [...formula.querySelector("mrow").childNodes]) {
      if (part.localName === "mtext") {
        lines.push(part.textContent.trim(), []);
        continue;
      }
      const sign = part.localName === "mo" ? part.textContent : "";
      if (FORMS[sign]) part.setAttribute("form", FORMS[sign]); // what it was among the others
      if (FORMS[sign] === "infix" && lines.at(-1).length) lines.push([]);
      lines.at(-1).push(part);
      if (sign === "," || sign === "(") lines.push([]);
    }
    const pieces = lines.filter((line) => line.length).flatMap((line) => {
      if (typeof line === "string") return [" ", line, " "];
      const next = formula.cloneNode();
      next.append(...line);
      return [next, line.at(-1).textContent === "," ? " " : document.createElement("wbr")];
    });
    formula.replaceWith(...pieces);
  }
}

/** One arrow out of the node: what comes back along it. */
function arrowRow(state, arrow) {
  const { nodes } = state.story;
  const z = costName(state);
  const share = state.numbers[arrow.share];
  const target = nodes[arrow.target];
  const own = partial(nameMath(target.name), nameMath(nodes[arrow.source].name));
  const outer = partial(nameMath(z), nameMath(target.name));
  const row = element("li", {}, element("div", { class: "through" }, "through ", nodeLink(state, arrow.target), ` ${target.op}`));
  if (arrow.kind === "number") {
    const [a, b] = [state.gradient(arrow.target).data[0], state.numbers[arrow.local].data[0]];
    row.append(element("div", { class: "equation", html: math(
      `${outer}<mo>·</mo>${own}`, true) + " " + math( // two, so that a line can break between them
      `<mo>=</mo>${numberMath(a, false, 5)}<mo>×</mo>${numberMath(b, true, 5)}<mo>=</mo>${numberMath(share.data[0], false, 5)}`, true) }));
    return row;
  }
  if (arrow.kind === "elementwise") {
    const spread = shapeText(target.shape) === shapeText(share.shape) ? "" : "<mtext>&#160;summed over repeats</mtext>";
    row.append(element("div", { class: "equation", html: math(`${outer}<mo>⊙</mo>${own}${spread}`, true) }));
    row.append(element("div", { class: "label", html: math(own) }), shown(state.numbers[arrow.local], "local derivative", "local"));
  } else {
    const slots = target.inputs.map((i) => nameMath(nodes[i].name));
    row.append(element("div", { class: "equation", html: arrow.template
      ? math(fill(state.story.templates[arrow.template], slots, outer), true)
      : `vector-Jacobian product through ${escape(target.op)}` }));
  }
  row.append(element("div", { class: "label" }, "comes back"), shown(share, "contribution", "gradient"));
  return row;
}

export class Panel {
  constructor(state, root) {
    this.state = state;
    this.root = root;
    this.makeControls();
    this.makeDescent();
    this.refresh();
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  refresh() {
    this.refreshResults();
    this.refreshNode();
    this.refreshControls();
    this.refreshDescent();
  }

  refreshResults() {
    const { state } = this;
    const rows = state.story.readouts.map(({ label, position, elements, note, shares }) => {
      const x = state.value(position);
      const parts = elements.length
        ? element("ul", { class: "shares" }, ...elements.map((name, k) => element("li", {},
            element("span", {}, name),
            shares ? element("meter", { min: 0, max: 1, value: x.data[k], "aria-label": name }) : "",
            element("b", {}, number(x.data[k], shares ? 4 : 5)))))
        : element("output", { class: "big" }, number(x.data[0], 5));
      const result = element("div", { class: "result" }, element("h3", {}, label), parts);
      if (note) result.append(element("p", { class: "note" }, note + (state.touched ? ", of the row as given" : "")));
      return result;
    });
    this.part("results").replaceChildren(...rows);
    this.part("results").hidden = !rows.length;
  }

  refreshNode() {
    const { state } = this;
    const position = state.selected;
    const node = state.story.nodes[position];
    const formula = formulaMath(state, position);
    const parts = [
      element("h2", { html: math(nameMath(node.name) + (formula ? `<mo>=</mo>${formula}` : "")) }),
      element("p", { class: "facts" }, `${node.inputs.length ? node.op : node.op === "input" ? "given" : "constant"} · ${shapeText(node.shape)} · ${node.dtype}` +
        (position === state.story.cost ? " · the cost" : "") +
        (state.story.parameters.includes(position) ? " · a parameter" : "")),
    ];
    const reads = [...new Set(node.inputs)].filter((i) => !state.story.nodes[i].literal);
    if (reads.length) parts.push(element("p", { class: "reads" }, "reads ", ...reads.map((i) => nodeLink(state, i))));
    parts.push(element("h3", { class: "value" }, "Value"));
    const words = single(state.value(position)) ? state.wordsFor(position, state.value(position).data[0]) : null;
    if (words && state.valueKnown(position)) parts.push(element("output", { class: "big value" }, words));
    else parts.push(state.valueKnown(position) ? shown(state.value(position), `value of ${node.name}`, "value") : element("p", { class: "later" }, "not computed yet"));
    if (node.gradient !== null) {
      const z = costName(state);
      parts.push(element("h3", { class: "gradient", html: `Gradient ${math(partial(nameMath(z), nameMath(node.name)))}` }));
      if (!state.gradientKnown(position)) parts.push(element("p", { class: "later" }, "not known yet: it comes back from what reads this value"));
      else {
        parts.push(shown(state.gradient(position), `gradient of ${node.name}`, "gradient"));
        const arrows = state.arrowsFrom[position];
        if (position === state.story.cost) parts.push(element("p", { class: "later" }, "Back-propagation starts here: the cost changes by 1 when it changes by 1."));
        else if (arrows.length > 1) parts.push(element("p", { class: "why" }, `The sum over ${arrows.length} paths:`));
        if (arrows.length) parts.push(element("ol", { class: "arrows" }, ...arrows.map((arrow) => arrowRow(state, arrow))));
      }
    } else if (state.isName(position))
      parts.push(element("p", { class: "later" }, "A category has no derivative: try another one under What if?"));
    else if (state.story.cost !== null && !node.literal)
      parts.push(element("p", { class: "later" }, "No gradient comes back here: the cost does not depend on it by a derivative."));
    this.part("node").replaceChildren(...parts);
    this.part("node").querySelectorAll("h2, .equation").forEach(wrapped);
  }

  // -- what if

  makeControls() {
    const { state } = this;
    const part = this.part("controls");
    part.hidden = !state.story.controls.length;
    if (state.story.readouts.length) this.part("descent").before(part);
    else part.open = state.story.controls.length <= 4;
    if (state.missing.length) {
      part.append(element("p", { class: "later" }, `This page cannot compute ${state.missing.join(", ")}, so it shows the numbers of one point only.`));
      return;
    }
    this.controls = state.story.controls.map((control, k) => {
      const id = `control${k}`;
      const row = element("div", { class: "control" }, element("label", { for: id, title: control.label }, control.label));
      const change = (value) => {
        if (control.missing || !Number.isNaN(value)) state.set(control.input, control.element, value);
      };
      if (control.choices.length) {
        const list = element("select", { id, onchange: () => change(Number(list.value)) });
        for (const [name, value] of control.choices) list.append(element("option", { value: String(value) }, name));
        if (control.missing) list.append(element("option", { value: "NaN" }, "missing"));
        row.append(list);
        part.append(row);
        return { control, list };
      }
      const step = (control.high - control.low) / 200;
      const slider = element("input", { type: "range", id, min: control.low, max: control.high, step, oninput: () => change(slider.valueAsNumber) });
      const exact = element("input", { type: "number", step: "any", placeholder: control.missing ? "missing" : "", "aria-label": `${control.label}, exactly`, onchange: () => change(exact.valueAsNumber) });
      row.append(slider, exact);
      part.append(row);
      return { control, slider, exact };
    });
    part.append(element("button", { class: "quiet", onclick: () => state.reset() }, "Back to the given numbers"));
  }

  refreshControls() {
    for (const { control, list, slider, exact } of this.controls ?? []) {
      const value = this.state.inputs[control.input].data[control.element];
      if (list) list.value = [...list.options].find((o) => Object.is(Number(o.value), value))?.value ?? "";
      else {
        slider.value = Number.isNaN(value) ? (control.low + control.high) / 2 : value;
        if (document.activeElement !== exact) exact.value = Number.isFinite(value) ? Number(value.toPrecision(6)) : "";
      }
    }
  }

  // -- gradient descent

  makeDescent() {
    const { state } = this;
    const part = this.part("descent");
    part.hidden = !state.story.parameters.length || state.missing.length > 0;
    const rate = element("input", { type: "number", id: "rate", min: 0, step: "any", value: state.rate, oninput: () => {
      if (rate.valueAsNumber >= 0) state.rate = rate.valueAsNumber;
      state.changed("rate");
    } });
    this.table = element("table", { class: "update" });
    this.history = element("div", { class: "history" });
    part.append(
      element("div", { class: "control" }, element("label", { for: "rate" }, "learning rate η"), rate),
      this.table,
      element("div", { class: "buttons" },
        element("button", { class: "primary", id: "take-step", onclick: () => state.descend(1) }, "Take the step"),
        element("button", { onclick: () => state.descend(10) }, "10 steps"),
        element("button", { class: "quiet", onclick: () => state.reset() }, "Start again")),
      this.history,
    );
  }

  refreshDescent() {
    const { state } = this;
    if (this.part("descent").hidden) return;
    const known = state.story.parameters.every((node) => state.gradientKnown(node));
    const head = `<tr><th></th><th>θ</th><th>${math(partial(nameMath(costName(state)), "<mi>θ</mi>"))}</th><th>new θ</th></tr>`;
    const { parameters } = state.story;
    const more = parameters.length > MOST_ROWS ? `<tr><th scope="row" colspan="4">and ${parameters.length - MOST_ROWS} more</th></tr>` : "";
    const rows = parameters.slice(0, MOST_ROWS).map((node) => {
      const [value, gradient] = [state.value(node), state.gradient(node)];
      const name = `<th scope="row">${math(nameMath(state.story.nodes[node].name))}</th>`;
      if (!known) return `<tr>${name}<td>${single(value) ? number(value.data[0], 5) : shapeText(value.shape)}</td><td>·</td><td>·</td></tr>`;
      if (!single(value)) {
        return `<tr data-node="${node}">${name}<td class="map"></td><td class="map"></td><td class="map"></td></tr>`;
      }
      const [x, g] = [value.data[0], gradient.data[0]];
      return `<tr>${name}<td>${number(x, 5)}</td><td class="gradient">${number(g, 5)}</td><td class="value">${number(x - state.rate * g, 5)}</td></tr>`;
    });
    this.table.innerHTML = head + rows.join("") + more;
    for (const row of this.table.querySelectorAll("[data-node]")) this.drawUpdate(row, Number(row.dataset.node));
    this.history.replaceChildren(...this.drawHistory());
  }

  /** An array before, its gradient, and after, as small heat maps. */
  drawUpdate(row, node) {
    const [value, gradient] = [this.state.value(node), this.state.gradient(node)];
    const moved = { shape: value.shape, data: value.data.map((x, k) => x - this.state.rate * gradient.data[k]) };
    row.querySelectorAll(".map").forEach((cell, k) => {
      cell.append(heatMap([value, gradient, moved][k], ["before", "gradient", "after"][k], 56, 26));
    });
  }

  /** The cost after each step, as a line. */
  drawHistory() {
    const { costs } = this.state;
    if (costs.length < 2) return [];
    const finite = costs.filter(Number.isFinite);
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const at = (cost, k) => `${(300 * k) / (costs.length - 1)},${44 - (40 * (cost - low)) / (high - low || 1)}`;
    const line = costs.map((cost, k) => (Number.isFinite(cost) ? at(cost, k) : "")).join(" ");
    const text = `cost ${number(costs[0], 4)} → ${number(costs.at(-1), 4)} after ${costs.length - 1} step${costs.length > 2 ? "s" : ""}`;
    return [
      element("p", {}, text),
      element("div", { html: `<svg viewBox="-3 0 306 48" role="img" aria-label="${text}"><polyline points="${line}"/></svg>` }),
    ];
  }
}
