/**
 * Dialogs, short messages, and the region that screen readers are told by.
 */

import { button, fill, h, icon, newId } from "./dom.js";

const region = h("div.unseen", { role: "status", "aria-live": "polite" });
const urgent = h("div.unseen", { role: "alert", "aria-live": "assertive" });
const toasts = h("div.toasts");

/** Put the live regions on the page; call once. */
export function mountMessages() {
  document.body.append(region, urgent, toasts);
}

/**
 * Tell screen readers something that the eye sees elsewhere.
 *
 * @param {string} text
 * @param {boolean} [loud] - whether it interrupts
 */
export function announce(text, loud = false) {
  const target = loud ? urgent : region;
  target.textContent = "";
  requestAnimationFrame(() => (target.textContent = text));
}

/**
 * Show a message for a while.
 *
 * @param {string} text
 * @param {{error?: boolean, action?: string, act?: function(): void, seconds?: number}} [options]
 */
export function toast(text, options = {}) {
  const close = () => box.remove();
  const box = h(
    "div.toast",
    { class: options.error ? "error" : "" },
    icon(options.error ? "bad" : "check"),
    h("p.grow", {}, text),
    options.action
      ? button(options.action, () => (options.act(), close()), { kind: "small" })
      : null,
    button("Dismiss", close, { icon: "close", iconOnly: true, kind: "quiet small" }),
  );
  toasts.append(box);
  while (toasts.children.length > 4) toasts.firstChild.remove();
  announce(text, Boolean(options.error));
  setTimeout(close, 1000 * (options.seconds ?? (options.error ? 12 : 5)));
}

/**
 * Tell what went wrong with something that was asked.
 *
 * @param {Error} error
 * @param {string} [what] - what was to be done
 */
export function report(error, what = "") {
  toast(what ? `${what}: ${error.message}` : error.message, { error: true });
}

/**
 * Open a modal dialog. Escape closes it, and the focus goes back to where it was.
 *
 * @param {{title: string, icon?: string, body: Array, buttons?: function(function(): void): Array,
 *   wide?: boolean, onClose?: function(): void}} options - `buttons` is given what closes it
 * @returns {{element: HTMLDialogElement, close: function(): void}}
 */
export function openDialog(options) {
  const held = document.activeElement;
  const title = newId("dialog-title");
  const close = () => dialog.close();
  const dialog = h(
    "dialog",
    { "aria-labelledby": title, class: options.wide ? "wide" : "" },
    h(
      "div.head",
      {},
      options.icon ? icon(options.icon) : null,
      h("h2", { id: title }, options.title),
      button("Close", close, { icon: "close", iconOnly: true, kind: "quiet" }),
    ),
    h("div.body", {}, options.body),
    options.buttons ? h("div.foot", {}, options.buttons(close)) : null,
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    options.onClose?.();
    if (held?.isConnected) held.focus();
  });
  // A click beside it closes it, as Escape does.
  dialog.addEventListener("mousedown", (event) => event.target === dialog && close());
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  document.body.append(dialog);
  dialog.showModal();
  return { element: dialog, close };
}

/**
 * Ask for a few fields, and do something with them; what was typed stays while it fails.
 *
 * @param {{title: string, icon?: string, body: Array, submit: string, kind?: string,
 *   wide?: boolean, act: function(): Promise<void>}} options - `act` rejects where it fails
 * @returns {HTMLDialogElement}
 */
export function openForm(options) {
  const failure = h("div.notice.error", { hidden: true, role: "alert" });
  const send = button(options.submit, () => {}, { kind: options.kind ?? "primary" });
  send.type = "submit";
  const form = h("form.fields", { id: newId("form") }, options.body, failure);
  send.setAttribute("form", form.id);
  const opened = openDialog({
    ...options,
    body: [form],
    buttons: (close) => [button("Cancel", close), send],
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    failure.hidden = true;
    try {
      await options.act();
      opened.close();
    } catch (error) {
      fill(failure, icon("bad"), h("span", {}, error.message));
      failure.hidden = false;
    } finally {
      send.disabled = false;
    }
  });
  return opened.element;
}
