// Puts the page together: story, picture, panel, keys, address.
import { join } from "./frame.js";
import { narration, Panel } from "./panel.js";
import { Stage } from "./stage.js";
import { FORWARD, GIVEN, State, UPDATE } from "./state.js";
import { run } from "./program.js";
import { escape } from "./text.js";

const SMALLEST = 12; // pixels of the words about a step
const $ = (selector) => document.querySelector(selector);
const packed = Uint8Array.from(atob($("#story").textContent), (c) => c.charCodeAt(0));
const story = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
const state = new State(story);
const stage = new Stage(state, $("#stage"));
const panel = new Panel(state, $("#panel"));
let playing = null;

/** A long line is set smaller, down to what can still be read; beyond that it scrolls. */
function fitWords() {
  const [said, words] = [$(".said"), $("#narration")];
  words.style.fontSize = "";
  const seen = words.offsetWidth - (said.scrollWidth - said.clientWidth);
  const share = Math.min(seen / words.offsetWidth, words.clientWidth / words.scrollWidth);
  if (share < 1) words.style.fontSize = `${Math.max(SMALLEST, Math.floor(parseFloat(getComputedStyle(words).fontSize) * share * 10) / 10)}px`;
}

function showStep() {
  const { label, html, spoken } = narration(state);
  $("#step-label").textContent = label;
  $("#narration").innerHTML = html;
  $("#narration").dataset.kind = state.move?.kind ?? "start";
  fitWords();
  $("#live").textContent = `Step ${state.step} of ${state.last}. ${spoken}`;
  $("#count").textContent = `${state.step} / ${state.last}`;
  $("#track").value = state.step;
}

state.listen((what) => {
  if (what === "groups") stage.rebuild();
  else stage.refresh();
  if (what === "step") {
    if (location.protocol !== "about:") history.replaceState(null, "", `#step=${state.step}`); // in a notebook there is none
    if (state.move?.node != null) stage.follow(state.move.node);
    if (state.move?.kind === UPDATE) $("#panel [data-part=descent]").scrollIntoView({ block: "nearest" });
  }
  if (what === "step" || what === "numbers" || what === "rate") showStep();
  panel.refresh();
});

// -- stepping

const { moves } = state;
const turn = moves.filter(({ kind }) => kind === GIVEN || kind === FORWARD).length;
const track = $("#track");
track.max = state.last;
track.style.setProperty("--turn", `${(100 * turn) / moves.length}%`);
track.addEventListener("input", () => state.go(track.valueAsNumber));

function pause() {
  clearInterval(playing);
  playing = null;
  $("#play").setAttribute("aria-pressed", "false");
}

function play() {
  if (playing) return pause();
  if (state.step === state.last) state.go(0);
  $("#play").setAttribute("aria-pressed", "true");
  playing = setInterval(() => {
    state.forth();
    if (state.step === state.last) pause();
  }, 900);
}

const actions = {
  start: () => state.go(0),
  back: () => state.back(),
  play,
  forth: () => state.forth(),
  end: () => state.go(state.last),
  in: () => stage.zoom(1.25),
  out: () => stage.zoom(0.8),
  whole: () => stage.whole(),
  search: () => $("#search").focus(),
  theme: () => {
    const dark = getComputedStyle(document.documentElement).colorScheme.trim() === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  },
  print: () => window.print(),
};
document.querySelectorAll("[data-action]").forEach((button) =>
  button.addEventListener("click", () => {
    if (button.dataset.action !== "play") pause();
    actions[button.dataset.action]();
  }));

const keys = { ArrowRight: "forth", ArrowLeft: "back", Home: "start", End: "end", " ": "play", "/": "search", "+": "in", "=": "in", "-": "out", 0: "whole" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === " " && event.target.closest("button")) return;
  const action = keys[event.key];
  if (!action) return;
  event.preventDefault();
  if (action !== "play") pause();
  actions[action]();
});

// -- search

const names = $("#names");
const listed = state.story.nodes.map((node, k) => [node, k]).filter(([node]) => !node.literal);
names.innerHTML = listed.slice(0, 2000).map(([node]) => `<option value="${escape(node.name)}">${escape(node.op)}</option>`).join("");
$("#search").addEventListener("change", () => {
  const wanted = $("#search").value.trim().toLowerCase();
  if (!wanted) return;
  const found =
    listed.find(([node]) => node.name.toLowerCase() === wanted) ??
    listed.find(([node]) => node.name.toLowerCase().includes(wanted)) ??
    listed.find(([node]) => node.op.includes(wanted));
  $("#search").setAttribute("aria-invalid", String(!found));
  if (!found) return;
  $("#search").blur(); // so that the arrow keys step again
  state.reveal(found[1]);
  state.select(found[1]);
  stage.follow(found[1], true);
});

// -- address, size, and what tests look at

function fromAddress() {
  const step = /step=(\d+)/.exec(location.hash);
  if (step) state.go(Number(step[1]));
}
window.addEventListener("hashchange", fromAddress);
window.addEventListener("resize", () => stage.resized());
window.addEventListener("beforeprint", () => stage.fitToSheet());
showStep();
fromAddress();
join(state);
window.chainrule = { state, stage, run };
