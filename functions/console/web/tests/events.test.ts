import { describe, expect, it } from "vitest";
import { EventParser } from "@/api/events";

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
