// The mailbox of development: live, and a button that copies the code.
"use strict";

function watchMailbox(list) {
  setInterval(async () => {
    const typing = document.activeElement?.matches("input");
    if (document.hidden || typing || String(getSelection())) return;
    try {
      const response = await fetch(list.dataset.url, { cache: "no-store" });
      const [newest] = await response.json();
      const total = response.headers.get("X-Total-Count");
      if ((newest?.key ?? "") !== list.dataset.newest || total !== list.dataset.total) location.reload();
    } catch {
      // The app restarts; the next turn finds it again.
    }
  }, 2000);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}

const mailbox = document.getElementById("mailbox");
if (mailbox?.dataset.live) watchMailbox(mailbox);
