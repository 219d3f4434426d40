// The admin token of this tab, asked for when lbg wants one.
import { openDialog } from "./dialog.js";
import { byId } from "./dom.js";

const KEY = "lbg.token";
let asking = null;

export const currentToken = () => sessionStorage.getItem(KEY);

/** Resolve when there is another token than `refused`, which lbg did not take; null for none. */
export async function askForToken(refused) {
  if (currentToken() !== refused) return;
  asking ??= ask(refused).finally(() => (asking = null));
  await asking;
}

async function ask(refused) {
  const wrong = refused === null ? "" : "That token is wrong. ";
  byId("token-text").textContent = `${wrong}This admin listener wants its token (admin.token).`;
  const input = byId("token-input");
  input.value = "";
  await openDialog(byId("token"), { insist: true, accept: () => input.value.trim() !== "" });
  sessionStorage.setItem(KEY, input.value.trim());
  input.value = "";
  showForget();
}

export function startToken() {
  byId("forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload(); // and nothing that was read with it stays on the page
  });
  showForget();
}

function showForget() {
  byId("forget").hidden = currentToken() === null;
}
