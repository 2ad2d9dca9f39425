// The page's behaviour. Texts come from anywhere, so every word is set as text, never as markup.
"use strict";

const POLL_MS = 1000;
// Six to ten digits, unless they are said to be an account.
const CODE = /(?<!\d|口座(?:番号)?\s*|account\s*)\d{6,10}(?!\d)/gi;
const OVER = ["verified", "failed", "expired", "cancelled"];
const byId = (id) => document.getElementById(id);
const titles = new Map();
const seenItems = new Set();
let version = 0;
let handsets = [];
let asked = recall();
let firstDraw = true;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function recall() {
  try { return JSON.parse(sessionStorage.getItem("asked")); } catch { return null; }
}

function remember(message) {
  asked = message;
  sessionStorage.setItem("asked", JSON.stringify(message));
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store" });
  return { ok: answer.ok, body: await answer.json().catch(() => ({})) };
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  return { ok: answer.ok, body: await answer.json().catch(() => ({})) };
}

function plain(number) {
  return number.replace(/[\s()-]/g, "");
}

function spaced(number) {
  const mobile = /^\+81(\d0)(\d{4})(\d{4})$/.exec(number);
  if (mobile) return `+81 ${mobile[1]} ${mobile[2]} ${mobile[3]}`;
  const tokyo = /^\+813(\d{4})(\d{4})$/.exec(number);
  return tokyo ? `+81 3 ${tokyo[1]} ${tokyo[2]}` : number;
}

function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

function words(raw) {
  return String(raw ?? "").replaceAll("_", " ");
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/* The form */

async function drawNumbers() {
  const { body } = await get("/sandbox/numbers");
  for (const row of body) {
    titles.set(row.number, row);
    const chip = make("button", "chip", row.title);
    chip.type = "button";
    chip.title = spaced(row.number);
    chip.dataset.number = row.number;
    chip.addEventListener("click", () => { byId("to").value = row.number; markChip(); });
    byId("chips").append(chip);
    const name = make("dt", "", row.title);
    name.append(make("span", "", spaced(row.number)));
    byId("numbers").append(group(name, make("dd", "", row.will)));
  }
  markChip();
}

function group(...children) {
  const box = make("div");
  box.append(...children);
  return box;
}

function markChip() {
  const number = plain(byId("to").value);
  for (const chip of byId("chips").children) chip.setAttribute("aria-pressed", String(chip.dataset.number === number));
  byId("will").textContent = titles.get(number)?.will ?? "Works: one text, delivered by the first domestic route.";
}

function transaction() {
  if (byId("purpose").value !== "payment") return undefined;
  return {
    amount: byId("amount").value.trim(), currency: byId("currency").value.trim().toUpperCase(),
    payee: { name: byId("payee").value, account: byId("account").value.trim() },
  };
}

async function ask(event) {
  event.preventDefault();
  const request = { to: plain(byId("to").value), purpose: byId("purpose").value, locale: byId("locale").value, voice: byId("voice").value };
  if (request.to.startsWith("0")) request.region = "JP";
  const payment = transaction();
  if (payment) request.transaction = payment;
  byId("send").disabled = true;
  const { ok, body } = await post("/sandbox/ask", request).catch(() => ({ ok: false, body: {} }));
  byId("send").disabled = false;
  byId("refusal").hidden = ok;
  if (!ok) {
    byId("refusal").textContent = [body.title, body.detail].filter(Boolean).join(": ") || "The request did not come through.";
    return;
  }
  const number = request.to.startsWith("0") ? `+81${request.to.slice(1)}` : request.to;
  remember({ id: body.id, to: number, transaction: payment, joined: body.joined });
  byId("code").value = "";
  say("", "");
  await Promise.all([drawJourney(), drawPhones()]);
}

/* The journey */

const PILL = { verified: "good", delivered: "good", failed: "bad", expired: "bad", cancelled: "bad", accepted: "wait", sending: "wait", submitted: "wait" };
const OUTCOME = { delivered: "good", refused: "bad", not_sent: "bad", unknown: "wait", overdue: "wait", submitted: "wait", cancelled: "" };

async function drawJourney() {
  if (!asked) return;
  const { ok, body } = await get(`/sandbox/message/${encodeURIComponent(asked.id)}`);
  byId("journey").hidden = !ok;
  if (!ok) return;
  byId("status").textContent = words(body.status);
  byId("status").className = `pill ${PILL[body.status] ?? ""}`;
  const until = body.useful_until ? `, useful until ${clock(body.useful_until)}` : "";
  const joined = asked.joined ? " Joined the code already on its way." : "";
  byId("about").textContent = `${capital(words(body.purpose))} code for ${spaced(asked.to)}${until}.${joined}`;
  byId("legs").replaceChildren(...(body.legs ?? []).map(leg));
  byId("guidance").hidden = !body.failure;
  byId("guidance").textContent = body.failure?.guidance ?? words(body.failure?.reason);
  const over = OVER.includes(body.status) && body.status !== "failed" || Boolean(body.failure);
  byId("check").hidden = over;
  for (const id of ["resend-sms", "resend-voice"]) byId(id).disabled = OVER.includes(body.status);
}

function leg(facts) {
  const item = make("li");
  const tone = OUTCOME[facts.outcome] ?? "wait";
  const mark = make("span", `mark pill ${tone}`, facts.channel === "voice" ? "☎" : "✉");
  mark.setAttribute("aria-hidden", "true");
  const line = make("span", "line");
  line.append(make("b", "", `${facts.channel === "voice" ? "Call" : "Text"} by ${facts.provider}`));
  line.append(make("span", `outcome ${tone}`, words(facts.outcome) || "on its way"));
  const note = [facts.route, words(facts.reason), facts.started_at && clock(facts.started_at)].filter(Boolean).join(" · ");
  item.append(mark, line, make("span", "note", note));
  return item;
}

const VERDICTS = {
  verified: "Verified. Welcome in.", wrong_code: "That is not the code.", transaction_changed: "The payment differs from the one this code was for.",
  too_many_guesses: "Too many guesses.", expired: "The code has expired.", cancelled: "The code was cancelled.",
  not_sent_yet: "Nothing was sent yet.", already_verified: "This code was used before.",
};

async function check(event) {
  event.preventDefault();
  const request = { id: asked.id, code: byId("code").value.trim(), to: asked.to };
  if (asked.transaction) request.transaction = asked.transaction;
  const { ok, body } = await post("/sandbox/check", request);
  const left = body.status === "wrong_code" ? ` ${body.guesses_left} guesses left.` : "";
  const text = ok ? (VERDICTS[body.status] ?? words(body.status)) + left : body.detail ?? "The check did not come through.";
  say(text, ok && body.verified ? "good" : "bad");
  await drawJourney();
}

async function resend(channel) {
  const request = { id: asked.id };
  if (channel) request.channel = channel;
  const { ok, body } = await post("/sandbox/resend", request);
  if (!ok) return say(body.detail ?? "The resend did not come through.", "bad");
  const nothing = "Nothing goes out now: the last one may still be on its way, or no way to the phone is left.";
  say(body.leg ? "On its way again, the same code." : nothing, "wait");
}

function say(text, tone) {
  byId("verdict").textContent = text;
  byId("verdict").className = `verdict ${tone}`;
}

/* The handsets */

async function drawPhones() {
  const { body } = await get(`/sandbox/state?seen=${version}`);
  const isNew = body.version !== version;
  if (isNew) { version = body.version; handsets = body.handsets ?? []; }
  const first = asked && handsets[0]?.number !== asked.to;
  if (!isNew && !first && !firstDraw) return;
  let shown = handsets;
  if (asked) {
    const own = handsets.find((one) => one.number === asked.to) ?? (await get(`/sandbox/handsets/${encodeURIComponent(asked.to)}`)).body;
    shown = [own, ...handsets.filter((one) => one.number !== asked.to)].filter((one) => one.number);
  }
  handsets = shown;
  byId("phones").replaceChildren(...shown.map(phone));
  byId("nothing").hidden = shown.length > 0;
  for (const inbox of document.querySelectorAll(".inbox")) inbox.scrollTop = inbox.scrollHeight;
  firstDraw = false;
}

function phone(facts) {
  const shell = make("article", asked?.to === facts.number ? "phone asked" : "phone");
  shell.setAttribute("aria-label", `Handset ${facts.number}`);
  const screen = make("div", "screen");
  const owner = make("div", "owner");
  owner.append(make("b", "", spaced(facts.number)), make("span", "", titles.get(facts.number)?.title ?? "Works"));
  const inbox = make("div", "inbox");
  inbox.tabIndex = 0;
  const items = [...facts.messages.map((one) => ({ ...one, isText: true })), ...facts.calls];
  items.sort((left, right) => left.at.localeCompare(right.at));
  for (const [index, one] of items.entries()) inbox.append(fresh(one.isText ? text(one) : call(one), `${facts.number} ${one.at} ${index}`));
  if (items.length === 0) inbox.append(make("p", "empty", "Nothing has arrived."));
  screen.append(owner, inbox);
  shell.append(screen);
  return shell;
}

/* Only what was not there before moves. */
function fresh(element, key) {
  if (!seenItems.has(key) && !firstDraw) element.classList.add("fresh");
  seenItems.add(key);
  return element;
}

function text(message) {
  const item = make("div", "item");
  const bubble = make("div", "bubble");
  let from = 0;
  for (const found of message.text.matchAll(CODE)) {
    bubble.append(message.text.slice(from, found.index), digits(found[0]));
    from = found.index + found[0].length;
  }
  bubble.append(message.text.slice(from));
  item.append(bubble, make("span", "stamp", `${message.provider} · ${clock(message.at)}`));
  return item;
}

function digits(code) {
  const button = make("button", "digits", code);
  button.type = "button";
  button.title = "Type this code";
  button.addEventListener("click", () => { byId("code").value = code; byId("code").focus(); });
  return button;
}

const CALL_WORDS = { queued: "dialling", ringing: "ringing", "in-progress": "talking", completed: "ended", "no-answer": "not answered", failed: "did not connect", canceled: "cancelled" };
const CALL_TONES = { ringing: "wait ringing", queued: "wait", "in-progress": "good", "no-answer": "bad", failed: "bad" };

function call(facts) {
  const item = make("div", "item call");
  const head = make("div", "head");
  const answered = facts.answered_by === "voicemail" ? "☎ Voicemail" : facts.answered_by ? "☎ Answered" : "☎ Call";
  head.append(make("span", "", answered), make("span", `pill ${CALL_TONES[facts.status] ?? ""}`, CALL_WORDS[facts.status] ?? facts.status));
  item.append(head);
  if (facts.transcript) {
    const heard = make("ul", "heard");
    for (const line of facts.transcript.split("\n")) heard.append(make("li", line.startsWith("[") ? "done" : "", line.replace(/^\[(.*)\]$/, "$1")));
    item.append(heard);
  }
  item.append(make("span", "stamp", `${facts.provider} · ${clock(facts.at)}`));
  return item;
}

/* Everything that happens by itself */

async function watch() {
  try {
    await Promise.all([drawPhones(), drawJourney()]);
    byId("offline").hidden = true;
  } catch {
    byId("offline").hidden = false;
  }
  setTimeout(watch, POLL_MS);
}

byId("ask").addEventListener("submit", ask);
byId("check").addEventListener("submit", check);
byId("resend-sms").addEventListener("click", () => resend());
byId("resend-voice").addEventListener("click", () => resend("voice"));
byId("to").addEventListener("input", markChip);
byId("purpose").addEventListener("change", () => { byId("payment").hidden = byId("purpose").value !== "payment"; });
drawNumbers().catch(() => {}).finally(watch);
