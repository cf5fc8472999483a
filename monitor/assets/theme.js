// Sets the colours that the viewer chose before anything is painted; without this script, or
// without a choice, they are those of the system.
// @ts-check
"use strict";

try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden: then nothing is remembered.
}
