import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventParser, listen } from "@/api/events";
import { ProblemError } from "@/api/problems";

describe("the parser of server-sent events", () => {
  it("takes events apart however the stream is cut", () => {
    const stream = 'id: 7\nevent: document\ndata: {"a":\ndata: 1}\n\n: still here\n\nevent: document_removed\r\ndata: x\r\n\r\n';
    for (let size = 1; size <= stream.length; size++) {
      const parser = new EventParser();
      const events = [];
      for (let at = 0; at < stream.length; at += size) events.push(...parser.push(stream.slice(at, at + size)));
      expect(events).toEqual([
        { type: "document", data: '{"a":\n1}', id: "7" },
        { type: "document_removed", data: "x", id: "7" },
      ]);
    }
  });
});

describe("who listens", () => {
  const streams: { headers: Record<string, string>; signal: AbortSignal; pipe: ReadableStreamDefaultController<Uint8Array> }[] = [];
  const heard: string[] = [];
  let refuse: unknown = null;
  let stop = new AbortController();
  const say = async (text: string) => {
    streams.at(-1)!.pipe.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(0);
  };
  const end = async () => {
    streams.at(-1)!.pipe.close();
    await vi.advanceTimersByTimeAsync(30_000);
  };

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    streams.length = heard.length = 0;
    refuse = null;
    stop = new AbortController();
    const raw = async (_method: string, _url: string, init: { headers?: Record<string, string>; signal?: AbortSignal } = {}) => {
      if (refuse !== null) throw refuse;
      const body = new ReadableStream<Uint8Array>({
        start(pipe) {
          streams.push({ headers: init.headers!, signal: init.signal!, pipe });
          init.signal!.addEventListener("abort", () => pipe.error(new DOMException("", "AbortError")));
        },
      });
      return new Response(body);
    };
    void listen({ raw } as never, "/events", (event) => heard.push(event.data), () => heard.push("gap"), stop.signal);
    await vi.advanceTimersByTimeAsync(0);
  });
  afterEach(() => {
    stop.abort();
    vi.useRealTimers();
  });

  it("looks again once the server has said from where on it tells, not before", async () => {
    expect(heard).toEqual([]);
    await say(": connected\n\n");
    expect(heard).toEqual(["gap"]);
    await say("id: 7\ndata: x\n\n");
    expect(heard).toEqual(["gap", "x"]);
  });

  it("goes on after the last event, and looks again if there was none or it is too old", async () => {
    await say(": connected\n\n");
    await end();
    await say(": connected\n\n");
    expect(heard).toEqual(["gap", "gap"]);
    await say("id: 7\ndata: x\n\n");
    await end();
    await say(": connected\n\n");
    expect([streams.at(-1)!.headers["last-event-id"], heard.at(-1)]).toEqual(["7", "x"]);
    await say("id: 9\nevent: reset\ndata: {}\n\n");
    expect(heard.at(-1)).toBe("gap");
  });

  it("comes back from a connection that is dead and does not know it", async () => {
    await say(": connected\n\n");
    await vi.advanceTimersByTimeAsync(80_000);
    expect(streams[0]!.signal.aborted).toBe(true);
    expect(streams.length).toBeGreaterThan(1);
  });

  it("comes back after it was refused, whatever the reason", async () => {
    for (const status of [401, 429, 503]) {
      const before = streams.length;
      refuse = new ProblemError({ status, code: "refused" });
      await end();
      refuse = null;
      await vi.advanceTimersByTimeAsync(30_000);
      expect(streams.length).toBeGreaterThan(before);
    }
  });

  it("hears nothing once it is told to stop", async () => {
    await say(": connected\n\n");
    stop.abort();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([streams.length, heard]).toEqual([1, ["gap"]]);
  });
});
