// Modal dialogs: the browser keeps the focus inside and gives it back afterwards.

/**
 * Open a dialog; resolve to whether its form was sent.
 *
 * `accept` says whether what was entered will do; with `insist` there is no other way out.
 */
export function openDialog(dialog, { insist = false, accept = () => true } = {}) {
  return new Promise((resolve) => {
    const stop = new AbortController();
    const end = (answer) => {
      stop.abort();
      dialog.close();
      resolve(answer);
    };
    const listen = (target, kind, act) => target.addEventListener(kind, act, { signal: stop.signal });
    const form = dialog.querySelector("form");
    if (form !== null) {
      listen(form, "submit", (event) => {
        event.preventDefault();
        if (accept()) end(true);
      });
    }
    listen(dialog, "click", (event) => {
      if (event.target.closest("button")?.value === "cancel") end(false);
    });
    listen(dialog, "cancel", (event) => {
      event.preventDefault();
      if (!insist) end(false);
    });
    // Chromium closes at the second Escape whatever `cancel` says.
    listen(dialog, "close", () => {
      if (insist) dialog.showModal();
      else end(false);
    });
    dialog.showModal();
  });
}
