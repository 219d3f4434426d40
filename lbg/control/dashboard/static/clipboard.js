// Text that is needed elsewhere, such as in `lbg explain`.
import { element, setText } from "./dom.js";

const TOLD = 2000; // ms

/** Return `text` with a button that copies it; `name` says what it is. */
export function copyable(name, text) {
  const shown = element("code", { class: "copied" }, text);
  const copy = async () => {
    setText(button, await told(shown));
    setTimeout(() => setText(button, "copy"), TOLD);
  };
  const button = element("button", { type: "button", "aria-label": `Copy ${name}`, "aria-live": "polite", onclick: copy }, "copy");
  return [shown, " ", button];
}

async function told(shown) {
  try {
    await navigator.clipboard.writeText(shown.textContent);
    return "copied";
  } catch {
    // Browsers have no clipboard for pages without TLS that are not on this machine.
    getSelection().selectAllChildren(shown);
    return "selected";
  }
}
