"use strict";
const top_ = document.currentScript.dataset.top;
const store = (key, value) => { try { return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value); } catch { return null; } };

// Light or dark: what the system says, until the button is used.
const root = document.documentElement;
const themeButton = document.getElementById("theme");
if (store("theme")) root.dataset.theme = store("theme");
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  store("theme", root.dataset.theme);
});

// Every block of code can be copied.
for (const pre of document.querySelectorAll("pre")) {
  const box = document.createElement("div");
  const button = document.createElement("button");
  box.className = "code";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(pre);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  pre.tabIndex = 0;
  pre.replaceWith(box);
  box.append(pre, button);
}

// The search: words of a section's heading count most. Sections with all words are shown; if there are none, those with most of them. The index
// is loaded when it is needed.
const input = document.getElementById("search");
const list = document.getElementById("results");
input.hidden = false;
let loading;
const load = () => loading ??= new Promise((done) => {
  const script = document.createElement("script");
  script.src = top_ + "search-index.js";
  script.onload = () => done(searchIndex);
  document.head.append(script);
});
const score = (entry, words) => {
  const [page, section, text] = [entry.page, entry.section, entry.text].map((s) => s.toLowerCase());
  const points = words.map((word) =>
    section.includes(word) ? 8 : page.includes(word) ? (section ? 3 : 10) : text.includes(word) ? 1 : 0);
  return { found: points.filter(Boolean).length, points: points.reduce((a, b) => a + b, 0), entry };
};
const excerpt = (text, word) => {
  const at = Math.max(0, text.toLowerCase().indexOf(word));
  const from = Math.max(0, at - 50);
  const small = document.createElement("small");
  const mark = document.createElement("mark");
  mark.textContent = text.slice(at, text.toLowerCase().includes(word) ? at + word.length : at);
  small.append((from > 0 ? "…" : "") + text.slice(from, at), mark, text.slice(at + mark.textContent.length, from + 160) + "…");
  return small;
};
const show = async () => {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const entries = words.length ? await load() : [];
  const scores = entries.map((entry) => score(entry, words));
  const most = Math.max(0, ...scores.map((s) => s.found));
  const best = scores.filter((s) => most && s.found === most).sort((a, b) => b.points - a.points).slice(0, 12);
  list.replaceChildren(...best.map(({ entry }) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = top_ + entry.url;
    link.textContent = entry.section ? `${entry.page}: ${entry.section}` : entry.page;
    link.addEventListener("click", () => { list.hidden = true; });
    if (entry.text) link.append(excerpt(entry.text, words[0]));
    item.append(link);
    return item;
  }));
  if (words.length && !best.length) {
    const item = document.createElement("li");
    item.textContent = "Nothing found.";
    list.append(item);
  }
  list.hidden = !words.length;
};
input.addEventListener("focus", load);
input.addEventListener("input", show);
document.addEventListener("click", (event) => { if (!event.target.closest(".search")) list.hidden = true; });
document.addEventListener("keydown", (event) => {
  const links = [...list.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    input.focus();
  } else if (event.key === "Escape") {
    list.hidden = true;
  } else if (!list.hidden && event.key === "ArrowDown" && links.length) {
    event.preventDefault();
    links[Math.min(at + 1, links.length - 1)].focus();
  } else if (!list.hidden && event.key === "ArrowUp" && at >= 0) {
    event.preventDefault();
    (links[at - 1] ?? input).focus();
  } else if (event.key === "Enter" && document.activeElement === input && links.length) {
    links[0].click();
  }
});
