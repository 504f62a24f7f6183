// Talks with whoever wrote this page into a frame, a notebook: step and inputs, both ways, through a port.

export function join(state) {
  if (location.href !== "about:srcdoc") return; // a page with an address of its own answers nobody
  window.addEventListener("message", ({ source, data, ports: [port] }) => {
    if (source !== window.parent || data !== "chainrule" || !port) return;
    let { version } = state;
    state.listen((what) => {
      if (what === "step") port.postMessage({ step: state.step });
      if (version !== state.version) port.postMessage({ inputs: state.inputs.map((x) => x.data) });
      ({ version } = state);
    });
    port.onmessage = ({ data: { step, inputs, theme } }) => {
      if (theme) document.documentElement.dataset.theme = theme;
      if (inputs) {
        version = state.version + 1; // that of the numbers to come: they are known there
        state.put(inputs);
      }
      if (step !== undefined) state.go(step);
    };
  });
  window.parent.postMessage("chainrule", "*"); // ready to listen
}
