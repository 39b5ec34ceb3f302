import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ProblemError, UnreachableError } from "@/api/problems";
import { type Instructions, type Ports, record, totals, type Upload, UploadQueue, type UploadRecord } from "@/uploads/queue";
import { Sha256, sha256 } from "@/uploads/sha256";

const PART = 4;

/** A server and a store, that can be cut off anywhere. */
class Vault implements Ports {
  documents = new Map<string, { upload: UploadRecord; whole: boolean; parts: Map<number, number>; complete: boolean }>();
  saved = new Map<string, UploadRecord>();
  calls: string[] = [];
  aborted: string[] = [];
  /** Called before each request; what it raises is what happens. */
  cut: (call: string) => void = () => undefined;
  /** Holds a PUT until it is let go. */
  gate: Promise<void> = Promise.resolve();
  running = 0;
  most = 0;
  private next = 1;

  async create(upload: UploadRecord) {
    this.call("create");
    const twin = [...this.documents].find(([, one]) => one.complete && one.upload.sha256 === upload.sha256);
    if (twin && !upload.allowDuplicate) throw new ProblemError({ status: 409, code: "duplicate_document", document_id: twin[0] });
    const documentId = `d${this.next++}`;
    this.documents.set(documentId, { upload, whole: false, parts: new Map(), complete: false });
    return { documentId, instructions: this.instructions(documentId) };
  }

  async resume(documentId: string) {
    this.call("resume");
    const document = this.documents.get(documentId);
    if (!document) throw new ProblemError({ status: 404, code: "not_found" });
    if (document.complete) throw new ProblemError({ status: 409, code: "upload_finished" });
    return this.instructions(documentId);
  }

  async sign(documentId: string, numbers: number[]) {
    this.call(`sign ${numbers.join(",")}`);
    return numbers.map((number) => ({ number, url: `${documentId}/${number}`, headers: {} }));
  }

  async complete(documentId: string) {
    this.call("complete");
    const document = this.documents.get(documentId)!;
    const { size } = document.upload;
    if (document.complete) return;
    const there = document.whole || [...document.parts.values()].reduce((sum, one) => sum + one, 0) === size;
    if (!there) throw new ProblemError({ status: 409, code: "upload_incomplete" });
    document.complete = true;
  }

  async abort(documentId: string) {
    this.aborted.push(documentId);
  }

  async put(url: string, _headers: Record<string, string>, body: Blob, sent: (bytes: number) => void, signal: AbortSignal) {
    this.running++;
    this.most = Math.max(this.most, this.running);
    try {
      this.call(`put ${url}`);
      sent(body.size / 2);
      await Promise.race([this.gate, new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))))]);
      signal.throwIfAborted();
      const [documentId, part] = url.split("/");
      const document = this.documents.get(documentId!)!;
      if (part === undefined) {
        if (document.whole) return 412;
        document.whole = true;
      } else {
        document.parts.set(Number(part), body.size);
      }
      this.cut(`answer ${url}`);
      sent(body.size);
      return 200;
    } finally {
      this.running--;
    }
  }

  hash = (file: Blob) => sha256(file);
  save = async (one: UploadRecord) => void this.saved.set(one.id, structuredClone({ ...one, kept: null }));
  forget = async (id: string) => void this.saved.delete(id);
  sleep = async () => undefined;
  now = () => 0;
  changed = () => undefined;

  private call(name: string): void {
    this.calls.push(name);
    this.cut(name);
  }

  private instructions(documentId: string): Instructions {
    const { upload, parts } = this.documents.get(documentId)!;
    if (upload.size < 2 * PART) return { method: "single", url: documentId, headers: {} };
    return {
      method: "multipart",
      part_size: PART,
      part_count: Math.ceil(upload.size / PART),
      parts: [...parts].map(([number, size]) => ({ number, size })),
    };
  }
}

function upload(id: string, content: string): Upload {
  const file = new Blob([content]);
  return {
    id, owner: "o", name: `${id}.txt`, size: file.size, type: "text/plain", lastModified: 1, addedAt: 0, state: "waiting", sha256: null, documentId: null,
    allowDuplicate: false, problem: null, duplicateOf: null, kept: null, file, sent: 0, error: null, startedAt: null, finishedAt: null,
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(condition()).toBe(true);
}

const once = (call: string, error: () => unknown) => {
  let left = 1;
  return (made: string) => {
    if (made.startsWith(call) && left-- > 0) throw error();
  };
};

describe("an upload", () => {
  it.each(["create", "put", "answer", "complete"])("arrives although the connection is cut at %s", async (call) => {
    const vault = new Vault();
    vault.cut = once(call, () => new UnreachableError());
    const queue = new UploadQueue(vault);
    const one = upload("a", "short");
    queue.add(one);
    await until(() => one.state === "done");
    expect([...vault.documents.values()].filter((document) => document.complete)).toHaveLength(1);
    expect(totals(queue.uploads).share).toBe(1);
  });

  it.each(["sign", "put d1/3", "answer d1/2", "complete"])("in parts arrives although the connection is cut at %s, and no part is sent again", async (call) => {
    const vault = new Vault();
    vault.cut = once(call, () => new UnreachableError());
    const queue = new UploadQueue(vault);
    const one = upload("a", "0123456789abcdefghijk");
    queue.add(one);
    await until(() => one.state === "done");
    const stored = vault.calls.filter((made) => made.startsWith("put "));
    expect(new Set(stored).size).toBe(6);
    expect(stored.length).toBeLessThanOrEqual(9); // those under way when it was cut
    expect([...vault.documents.get("d1")!.parts.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("goes on in another tab where the first one stopped", async () => {
    const vault = new Vault();
    const first = new UploadQueue(vault);
    const before = upload("a", "0123456789abcdefghijk");
    let puts = 0;
    vault.cut = (call) => {
      if (call.startsWith("put ") && ++puts > 4) throw new DOMException("the tab is gone", "AbortError");
    };
    first.add(before);
    await until(() => before.state === "failed");
    vault.cut = () => undefined;
    vault.calls.length = 0;
    const kept = { ...vault.saved.get("a")!, state: "sending" as const };
    const second = new UploadQueue(vault);
    const after: Upload = { ...upload("a", "0123456789abcdefghijk"), ...kept, file: before.file };
    second.adopt(after);
    await until(() => after.state === "done");
    expect(vault.calls[0]).toBe("resume");
    expect(vault.calls.filter((call) => call.startsWith("put "))).toHaveLength(3);
  });

  it("that was whole before the tab was closed is only completed", async () => {
    const vault = new Vault();
    const { documentId } = await vault.create(record(upload("a", "short")));
    vault.documents.get(documentId)!.complete = true;
    const queue = new UploadQueue(vault);
    const one = { ...upload("a", "short"), documentId, sha256: "x" };
    queue.adopt(one);
    await until(() => one.state === "done");
    expect(vault.calls.filter((call) => call.startsWith("put"))).toEqual([]);
  });

  it("whose reservation ran out is reserved anew", async () => {
    const vault = new Vault();
    const queue = new UploadQueue(vault);
    const one = { ...upload("a", "short"), documentId: "gone" };
    queue.adopt(one);
    await until(() => one.state === "done");
    expect([one.documentId, one.lapsed]).toEqual(["d1", 1]); // else an idempotent server gives what is gone once more
  });

  it("that somebody has already is shown before a byte is sent, and sent if they want", async () => {
    const vault = new Vault();
    const queue = new UploadQueue(vault);
    const [one, two] = [upload("a", "same"), upload("b", "same")];
    queue.add(one);
    await until(() => one.state === "done");
    queue.add(two);
    await until(() => two.state === "duplicate");
    expect(two.duplicateOf).toBe("d1");
    expect(vault.calls.filter((call) => call.startsWith("put"))).toHaveLength(1);
    queue.retry(two);
    await until(() => two.state === "done");
  });

  it("whose file is lost waits for that very file", () => {
    const queue = new UploadQueue(new Vault());
    const one = { ...upload("a", "short"), file: null };
    queue.adopt(one);
    expect(one.state).toBe("file-needed");
    expect(queue.give(one, Object.assign(new Blob(["other!"]), { name: "a.txt", lastModified: 1 }))).toBe(false);
    expect(queue.give(one, Object.assign(new Blob(["short"]), { name: "a.txt", lastModified: 2 }))).toBe(false);
    expect(queue.give(one, Object.assign(new Blob(["short"]), { name: "a.txt", lastModified: 1 }))).toBe(true);
  });

  it("that an earlier page is still reserving is asked for again", async () => {
    const vault = new Vault();
    vault.cut = once("create", () => new ProblemError({ status: 409, code: "idempotency_conflict" }));
    const queue = new UploadQueue(vault);
    const one = upload("a", "short");
    queue.add(one);
    await until(() => one.state === "done");
  });

  it("that is refused for good fails at once, with the reason", async () => {
    const vault = new Vault();
    vault.cut = (call) => {
      if (call === "create") throw new ProblemError({ status: 413, code: "document_too_large" });
    };
    const queue = new UploadQueue(vault);
    const one = upload("a", "short");
    queue.add(one);
    await until(() => one.state === "failed");
    expect([one.problem, vault.calls]).toEqual(["document_too_large", ["create"]]);
  });
});

describe("the queue", () => {
  it("sends three at once, and what failed goes last", async () => {
    const vault = new Vault();
    let open = () => {};
    vault.gate = new Promise((resolve) => (open = resolve));
    vault.cut = once("create", () => new ProblemError({ status: 403, code: "quota_exceeded" }));
    const queue = new UploadQueue(vault);
    for (let i = 0; i < 9; i++) queue.add(upload(String(i), `text ${i}`));
    await until(() => vault.running === 3);
    expect(totals(queue.uploads).share).toBeLessThan(1);
    open();
    await until(() => !totals(queue.uploads).open);
    expect(vault.most).toBe(3);
    expect(queue.uploads.at(-1)!.state).toBe("failed");
    expect(totals(queue.uploads)).toMatchObject({ files: 9, done: 8, failed: 1 });
    expect(totals(queue.uploads).share).toBeLessThan(1);
    queue.retryAll();
    await until(() => totals(queue.uploads).done === 9);
    expect(totals(queue.uploads).share).toBe(1);
  });

  it("pauses what is under way, and goes on", async () => {
    const vault = new Vault();
    let open = () => {};
    vault.gate = new Promise((resolve) => (open = resolve));
    const queue = new UploadQueue(vault);
    const one = upload("a", "short");
    queue.add(one);
    await until(() => vault.running === 1);
    queue.pause();
    await until(() => vault.running === 0 && one.state === "waiting");
    open();
    queue.resume();
    await until(() => one.state === "done");
    expect(vault.documents.size).toBe(1);
  });

  it("gives up what is removed", async () => {
    const vault = new Vault();
    vault.gate = new Promise(() => undefined);
    const queue = new UploadQueue(vault);
    const one = upload("a", "short");
    queue.add(one);
    await until(() => vault.running === 1);
    queue.remove(one);
    await until(() => vault.running === 0);
    expect([queue.uploads, vault.aborted, vault.saved.size]).toEqual([[], ["d1"], 0]);
  });

  it("gives up what is removed while the server reserves it, and keeps nothing of it", async () => {
    const vault = new Vault();
    const queue = new UploadQueue(vault);
    const one = upload("a", "short");
    vault.cut = (call) => {
      if (call === "create") queue.remove(one);
    };
    queue.add(one);
    await until(() => vault.aborted.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([queue.uploads, vault.aborted, vault.saved.size]).toEqual([[], ["d1"], 0]);
  });

  it("reserves nothing in the name of whoever signs in next", async () => {
    const vault = new Vault();
    const queue = new UploadQueue(vault);
    const one = { ...upload("a", "short"), documentId: "theirs" };
    vault.cut = (call) => {
      if (call === "resume") queue.close(); // signed out meanwhile; the next one's server knows no such document
    };
    queue.adopt(one);
    await until(() => vault.calls.includes("resume"));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(vault.calls).toEqual(["resume"]);
  });

  it("keeps what the server reserved when somebody signs out meanwhile", async () => {
    const vault = new Vault();
    const queue = new UploadQueue(vault);
    const one = upload("a", "short");
    vault.cut = (call) => {
      if (call === "create") queue.close();
    };
    queue.add(one);
    await until(() => vault.saved.get("a")?.documentId === "d1");
    expect([vault.calls, vault.aborted]).toEqual([["create"], []]);
  });

  it("never says 100 % before the server does", () => {
    const one = { ...upload("a", "short"), sent: 5, state: "finishing" as const };
    expect(totals([one]).share).toBe(0.99);
    expect(totals([{ ...one, state: "done" as const }]).share).toBe(1);
  });
});

describe("SHA-256", () => {
  it("is what others say it is, however the bytes come", async () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
      const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
      const expected = createHash("sha256").update(bytes).digest("hex");
      for (const step of [1, 13, 64, 1001]) {
        const hash = new Sha256();
        for (let at = 0; at < length; at += step) hash.update(bytes.subarray(at, at + step));
        expect(hash.hex()).toBe(expected);
      }
      expect(await sha256(new Blob([bytes]))).toBe(expected);
    }
  });
});
