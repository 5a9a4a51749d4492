/**
 * What is shown where the service does not know who this is any more.
 */

import { button, h, icon } from "./dom.js";

let open = null;

/**
 * Keep asking for a new login while the session is refused; drafts and texts stay where they are.
 *
 * @param {Workplace} place
 */
export function watchSignIn(place) {
  place.session.on("state", (state) => {
    if (state === "refused") show(place);
    else if (state === "live") hide();
  });
}

function show(place) {
  if (open) return;
  const name = h("input", { type: "text", name: "username", autocomplete: "username", required: true, value: place.user || null });
  const word = h("input", { type: "password", name: "password", autocomplete: "current-password", required: true });
  const failure = h("div.notice.error", { hidden: true, role: "alert" });
  const form = h(
    "form.body.fields",
    {
      on: {
        submit: async (event) => {
          event.preventDefault();
          failure.hidden = true;
          try {
            await signIn(name.value, word.value);
            hide();
            place.session.connect();
          } catch (error) {
            failure.textContent = error.message;
            failure.hidden = false;
          }
        },
      },
    },
    h("p", {}, "The service asks who you are. What you wrote stays here meanwhile."),
    h("div.field", {}, h("label", { for: "sign-name" }, "Name"), name),
    h("div.field", {}, h("label", { for: "sign-word" }, "Password"), word),
    failure,
    h("div.row.end", {}, button("Sign-in page", () => toPage(), { kind: "quiet", title: "For a link that can be used once" }), h("button.button.primary", { type: "submit" }, "Sign in")),
  );
  name.id = "sign-name";
  word.id = "sign-word";
  open = h("dialog", { "aria-label": "Sign in" }, h("div.head", {}, icon("lock"), h("h2", {}, "Sign in")), form);
  open.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(open);
  open.showModal();
  (name.value ? word : name).focus();
}

function hide() {
  open?.close();
  open?.remove();
  open = null;
}

async function signIn(name, password) {
  const answer = await fetch("login", {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ name, password }),
  });
  if (answer.ok) return;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.detail ?? told.error ?? (answer.status === 429 ? "Too many attempts: wait a moment." : "Name or password is not right."));
}

function toPage() {
  const next = encodeURIComponent(location.pathname + location.search);
  location.assign(`login?next=${next}`);
}
