// Server-sent events, read with fetch since they are authorised by a header (WHATWG HTML, section 9.2).
import { sleep } from "./client";
import type { ApiClient } from "./client";
import { ProblemError } from "./problems";

export interface ServerEvent {
  type: string;
  data: string;
  id: string | null;
}

/** Takes a stream apart, in whatever pieces it comes. */
export class EventParser {
  private rest = "";
  private type = "";
  private data: string[] = [];
  private id: string | null = null;

  push(text: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    // A CR at the end may be half of a CRLF: it waits for what follows.
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.data.length) events.push({ type: this.type || "message", data: this.data.join("\n"), id: this.id });
        this.type = "";
        this.data = [];
      } else {
        this.field(line);
      }
    }
    return events;
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.type = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.id = value;
  }
}

const SHORTEST_PAUSE = 500;
const LONGEST_PAUSE = 20_000;
const SILENCE = 45_000;
/** The server sends a comment every 15 s; three missed ones mean a connection that is dead and does not know it. */

/**
 * Hands on events until the signal aborts; comes back after each loss, where it was. `onGap` is called when events may have been missed: after
 * the first piece of a stream that follows no event, since only then the server knows from where on it tells.
 */
export async function listen(
  api: Pick<ApiClient, "raw">,
  url: string,
  onEvent: (event: ServerEvent) => void,
  onGap: () => void,
  signal: AbortSignal,
): Promise<void> {
  let last: string | null = null;
  let pause = SHORTEST_PAUSE;
  while (!signal.aborted) {
    const started = Date.now();
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENCE);
    try {
      const headers: Record<string, string> = { accept: "text/event-stream", ...(last === null ? {} : { "last-event-id": last }) };
      const response = await api.raw("get", url, { headers, signal: AbortSignal.any([signal, silent.signal]) });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (let unsure = last === null; ; unsure = false) {
        const { done, value } = await reader.read();
        if (done || signal.aborted) break;
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENCE);
        if (unsure) onGap();
        for (const event of parser.push(value)) {
          if (event.id !== null) last = event.id;
          if (event.type === "reset") onGap();
          else onEvent(event);
        }
      }
    } catch (error) {
      if (error instanceof ProblemError) pause = Math.max(pause, 5000);
    } finally {
      clearTimeout(timer);
    }
    if (signal.aborted) return;
    if (Date.now() - started > 5000) pause = SHORTEST_PAUSE;
    try {
      await sleep(pause * (0.75 + Math.random() / 2), signal);
    } catch {
      return;
    }
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}
