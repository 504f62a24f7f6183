// The graph page in a notebook's cell: the page as it is, in a frame; its step and inputs are those of the widget.

/** Bytes to arrays of numbers, one per input; 64 bits each. */
function unpack(bytes, sizes) {
  let start = bytes.byteOffset;
  return sizes.map(([size, kind]) => {
    const part = bytes.buffer.slice(start, (start += 8 * size));
    return kind === "u" ? new BigUint64Array(part) : new Float64Array(part);
  });
}

function pack(arrays) {
  const bytes = new Uint8Array(8 * arrays.reduce((sum, x) => sum + x.length, 0));
  let start = 0;
  for (const x of arrays) {
    bytes.set(new Uint8Array(x.buffer, x.byteOffset, x.byteLength), start);
    start += x.byteLength;
  }
  return new DataView(bytes.buffer);
}

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.srcdoc = model.get("page");
  frame.title = model.get("title");
  frame.style.cssText = `width:100%;height:${model.get("height")}px;border:1px solid #8884;border-radius:8px`;
  const { port1: port, port2: other } = new MessageChannel();
  let hearing = false; // what the page just said is not said back to it
  const told = {
    step: () => ({ step: model.get("step") }),
    inputs: () => ({ inputs: unpack(model.get("inputs"), model.get("sizes")) }),
  };
  port.onmessage = ({ data: { step, inputs } }) => {
    hearing = true;
    if (step !== undefined) model.set("step", step);
    if (inputs) model.set("inputs", pack(inputs));
    hearing = false;
    model.save_changes();
  };
  const tell = (name) => () => hearing || port.postMessage(told[name]());
  const listeners = Object.keys(told).map((name) => [`change:${name}`, tell(name)]);
  listeners.forEach(([event, listener]) => model.on(event, listener));
  const ready = ({ source, data }) => {
    if (source !== frame.contentWindow || data !== "chainrule") return;
    window.removeEventListener("message", ready);
    const { jpThemeLight } = document.body.dataset; // JupyterLab's own theme, whatever the system's
    const theme = jpThemeLight && (jpThemeLight === "true" ? "light" : "dark");
    source.postMessage("chainrule", "*", [other]);
    port.postMessage({ theme, step: model.get("step"), ...(model.get("moved") ? told.inputs() : {}) });
  };
  window.addEventListener("message", ready);
  el.append(frame);
  return () => {
    window.removeEventListener("message", ready);
    listeners.forEach(([event, listener]) => model.off(event, listener));
  };
}

export default { render };
