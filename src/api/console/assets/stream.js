// Stream: follows server-sent events by fetch, because a script does not see the heartbeats of an EventSource.

/** Without a byte for so long the line is dead, ms; the server sends one every 5 s. */
const SILENT = 15000;
const RETRY = 2000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
  });
}

function parse(block) {
  const event = { name: "message", id: null, data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event.name = line.slice(6).trim();
    if (line.startsWith("id:")) event.id = line.slice(3).trim();
    if (line.startsWith("data:")) event.data += line.slice(5).trim();
  }
  return event.id === null ? null : event;
}

/**
 * Follows `address` behind the number `after` for as long as the page is open; a page in the background lets go of its
 * connection and goes on where it was. Calls `on.event`, and `on.stale` with whether nothing was heard for too long.
 */
export async function follow(address, after, on) {
  let last = after;
  let watch = 0;
  let line = null;
  const heard = () => {
    clearTimeout(watch);
    on.stale(false);
    watch = setTimeout(silent, SILENT);
  };
  const silent = () => {
    if (!document.hidden) on.stale(true);
    if (line) line.abort();
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && line) line.abort();
  });
  watch = setTimeout(silent, SILENT);
  for (;;) {
    await visible();
    line = new AbortController();
    try {
      const headers = { accept: "text/event-stream", "last-event-id": String(last) };
      const response = await fetch(address, { headers, signal: line.signal, cache: "no-store" });
      if (response.ok && response.body) {
        const reader = response.body.getReader();
        const decoder = new TextDecoder();
        let text = "";
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          heard();
          text += decoder.decode(value, { stream: true });
          const blocks = text.split("\n\n");
          text = blocks.pop();
          for (const event of blocks.map(parse)) {
            if (!event) continue;
            last = event.id;
            on.event(event);
          }
        }
      }
    } catch (error) {
      // Cut, refused or let go: tried again below.
    }
    if (!document.hidden) await sleep(RETRY);
  }
}
