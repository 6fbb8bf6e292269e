"use strict";
// The chat page: it draws what the event stream brings. Every text from
// outside goes through textContent, never through markup.

const words = {
  ko_KR: {
    title: "NAVER WORKS 시뮬레이터", hint: "실제 서비스가 아닙니다. 이 화면의 버튼은 서명된 콜백을 PBX로 보냅니다.", person: "사용자", language: "언어",
    log: "대화", menu: "고정 메뉴", write: "메시지 입력", send: "보내기", whose: "{name} 님의 대화방", bot: "봇",
    empty: "아직 메시지가 없습니다. 전화가 오면 카드가 여기에 나타납니다.", failed: "PBX가 콜백에 응답하지 않았습니다: {why}",
    lost: "시뮬레이터와 연결이 끊어졌습니다. 다시 연결하는 중입니다…", file: "파일 열기", unread: "안 읽은 메시지 {n}개", copied: "복사했습니다", newTab: "새 창",
  },
  en_US: {
    title: "NAVER WORKS simulator", hint: "Not the real service. The buttons on this page send signed callbacks to the PBX.", person: "Person", language: "Language",
    log: "Conversation", menu: "Persistent menu", write: "Write a message", send: "Send", whose: "{name}'s chat", bot: "Bot",
    empty: "No messages yet. When a call comes in, its card appears here.", failed: "The PBX did not answer the callback: {why}",
    lost: "The connection to the simulator is lost. Connecting again…", file: "Open file", unread: "{n} unread", copied: "Copied", newTab: "new tab",
  },
};

const state = { users: [], bots: [], chats: new Map(), unread: new Map(), user: null, language: null, seen: 0, live: false };
const $ = (id) => document.getElementById(id);

function t(key, values = {}) {
  const w = words[state.language] ?? words.en_US;
  return w[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function inLanguage(text) {
  return text?.I18n?.[state.language] ?? text?.Text ?? "";
}

function make(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

const initial = (name) => [...name.trim()].at(0) ?? "?";
const current = () => state.users.find((u) => u.userId === state.user);
const botOf = () => state.bots.find((b) => b.domainId === current()?.domainId) ?? state.bots[0];

function clock(iso) {
  return new Intl.DateTimeFormat(state.language.replace("_", "-"), { hour: "numeric", minute: "2-digit" }).format(new Date(iso));
}

function day(iso) {
  return new Intl.DateTimeFormat(state.language.replace("_", "-"), { dateStyle: "full" }).format(new Date(iso));
}

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (answer.ok) return notice("");
  const why = await answer.json().catch(() => ({}));
  notice(t("failed", { why: why.description ?? `HTTP ${answer.status}` }));
}

function notice(text) { $("notice").textContent = text; }

function drawButton(button, message, index) {
  const label = inLanguage(button.label);
  if (button.type === "uri" && /^https?:\/\//i.test(button.uri)) {
    const a = make("a", "out", label);
    a.href = button.uri;
    a.target = "_blank";
    a.rel = "noopener noreferrer";
    a.setAttribute("aria-label", `${label} (${t("newTab")})`);
    return a;
  }
  const b = make("button", "", label);
  b.type = "button";
  b.addEventListener("click", async () => {
    if (b.getAttribute("aria-busy") === "true") return;
    if (button.type === "copy") {
      await navigator.clipboard?.writeText(button.copy);
      return;
    }
    b.setAttribute("aria-busy", "true");
    try {
      await post("/sim/press", { user: state.user, botID: message?.botID ?? botOf().botId, message: message?.index ?? -1, button: index, language: state.language });
    } catch (err) {
      notice(t("failed", { why: err.message }));
    } finally {
      b.removeAttribute("aria-busy");
    }
  });
  return b;
}

function drawMessage(m) {
  const li = make("li", "line bot");
  const avatar = make("span", "avatar", initial(m.botName || "B"));
  avatar.setAttribute("aria-hidden", "true");
  const column = make("div", "column");
  column.append(make("p", "from", m.botName || t("bot")));
  const body = make("div", "body");
  const text = inLanguage(m.text);
  let bubble;
  if (m.buttons?.length) {
    bubble = make("div", "bubble card");
    bubble.append(make("div", "text", text));
    const actions = make("div", "actions");
    m.buttons.forEach((b, i) => actions.append(drawButton(b, m, i)));
    bubble.append(actions);
  } else {
    bubble = make("div", "bubble", text);
  }
  if (m.fileURL) {
    const a = make("a", "out", m.file || t("file"));
    a.href = m.fileURL;
    bubble.append(a);
  }
  const time = make("time", "", clock(m.time));
  time.dateTime = m.time;
  body.append(bubble, time);
  column.append(body);
  li.append(avatar, column);
  li.dataset.index = m.index;
  return li;
}

function drawMine(line) {
  const li = make("li", "line mine");
  const time = make("time", "", clock(line.time));
  time.dateTime = line.time;
  li.append(time, make("div", "bubble", line.text));
  return li;
}

function drawLine(list, line, before) {
  if (!before || day(before.time) !== day(line.time)) list.append(make("li", "day", day(line.time)));
  list.append(line.message ? drawMessage(line.message) : drawMine(line));
}

function drawLines() {
  const list = $("lines");
  const lines = state.chats.get(state.user) ?? [];
  list.replaceChildren();
  if (lines.length === 0) list.append(make("li", "empty", t("empty")));
  lines.forEach((l, i) => drawLine(list, l, lines[i - 1]));
  list.scrollTop = list.scrollHeight;
}

function drawPeople() {
  const list = $("people");
  list.replaceChildren();
  const select = $("person");
  select.replaceChildren();
  for (const u of state.users) {
    const b = make("button");
    b.type = "button";
    b.setAttribute("aria-current", String(u.userId === state.user));
    const avatar = make("span", "avatar", initial(u.name));
    avatar.setAttribute("aria-hidden", "true");
    const last = (state.chats.get(u.userId) ?? []).at(-1);
    b.append(avatar, make("span", "name", u.name), make("span", "last", last ? last.text || inLanguage(last.message?.text) : u.email));
    const n = state.unread.get(u.userId) ?? 0;
    if (n > 0) {
      const badge = make("span", "unread", String(n));
      badge.setAttribute("aria-label", t("unread", { n }));
      b.append(badge);
    }
    b.addEventListener("click", () => choose(u.userId));
    const li = make("li");
    li.append(b);
    list.append(li);
    const option = make("option", "", n > 0 ? `${u.name} (${n})` : u.name);
    option.value = u.userId;
    option.selected = u.userId === state.user;
    select.append(option);
  }
}

function drawFrame() {
  document.documentElement.lang = state.language.slice(0, 2);
  for (const e of document.querySelectorAll("[data-t]")) e.textContent = t(e.dataset.t);
  for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", t(e.dataset.label));
  for (const e of document.querySelectorAll("[data-placeholder]")) e.placeholder = t(e.dataset.placeholder);
  for (const b of document.querySelectorAll("[data-language]")) b.setAttribute("aria-pressed", String(b.dataset.language === state.language));
  $("bot-name").textContent = botOf()?.botName || t("bot");
  $("whose").textContent = t("whose", { name: current()?.name ?? "" });
  document.title = `${current()?.name ?? ""} · ${t("title")}`;
  $("menu").replaceChildren(...(botOf()?.menu ?? []).map((b, i) => drawButton(b, null, i)));
}

function draw() {
  drawFrame();
  drawPeople();
  drawLines();
}

function choose(user) {
  state.user = user;
  state.language = current().locale in words ? current().locale : "en_US";
  state.unread.delete(user);
  history.replaceState(null, "", `?user=${encodeURIComponent(current().email)}`);
  draw();
}

function take(event) {
  if (event.id <= state.seen) return;
  state.seen = event.id;
  const lines = state.chats.get(event.user) ?? [];
  const before = lines.at(-1);
  state.chats.set(event.user, [...lines, event]);
  if (event.user !== state.user) {
    if (event.message && state.live) state.unread.set(event.user, (state.unread.get(event.user) ?? 0) + 1);
  } else {
    const list = $("lines");
    if (!before) list.replaceChildren();
    drawLine(list, event, before);
    list.scrollTop = list.scrollHeight;
  }
  drawPeople();
}

async function loadBots() {
  state.bots = await (await fetch("/sim/bots")).json();
}

async function begin() {
  state.users = await (await fetch("/sim/users")).json();
  await loadBots();
  const wanted = new URLSearchParams(location.search).get("user");
  const user = state.users.find((u) => u.email === wanted || u.userId === wanted) ?? state.users[0];
  if (!user) return;
  choose(user.userId);
  const stream = new EventSource("/sim/events");
  stream.onmessage = (m) => take(JSON.parse(m.data));
  stream.addEventListener("live", () => { state.live = true; });
  stream.onopen = () => notice("");
  stream.onerror = () => notice(t("lost"));
}

$("person").addEventListener("change", (e) => choose(e.target.value));
for (const b of document.querySelectorAll("[data-language]")) {
  b.addEventListener("click", () => { state.language = b.dataset.language; draw(); });
}
$("say").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  await post("/sim/say", { user: state.user, botID: botOf().botId, text }).catch((err) => notice(t("failed", { why: err.message })));
});
window.addEventListener("focus", async () => { await loadBots().catch(() => {}); if (state.user) drawFrame(); });
begin();
