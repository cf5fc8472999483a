// The forms of the page of the API: asks what a form says, and shows the answer as it came.
"use strict";

const page = document.querySelector(".api");
// More than this makes a page slow, and helps nobody.
const SHOWN = 100000;

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form);
  });
}

async function ask(form) {
  const answer = form.querySelector("output");
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const input of form.querySelectorAll("input")) {
    if (input.value === "") continue;
    if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.in === "header") headers[input.name] = input.value;
    else query.set(input.name, input.value);
  }
  const request = { method: form.dataset.method.toUpperCase(), headers };
  const body = form.querySelector("textarea");
  if (body) {
    request.body = body.value;
    headers["Content-Type"] = "application/json";
    headers["X-CSRF-Token"] = page.dataset.token;
  }
  const url = query.size ? `${path}?${query}` : path;
  show(answer, `${request.method} ${url}`, "…");
  try {
    const response = await fetch(url, request);
    show(answer, `${request.method} ${url}: ${response.status} ${response.statusText}`, await response.text());
  } catch (error) {
    show(answer, `${request.method} ${url}`, `The monitor did not answer: ${error.message}`);
  }
}

function show(answer, head, text) {
  const line = document.createElement("p");
  line.textContent = head;
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.textContent = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  answer.replaceChildren(line, pre);
}
