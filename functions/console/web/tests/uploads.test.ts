import "fake-indexeddb/auto";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { useUploads } from "@/stores/uploads";
import type { Watcher } from "@/stores/live";
import type { UploadRecord } from "@/uploads/queue";
import { QueueStorage } from "@/uploads/storage";

const watchers: Watcher[] = [];
vi.mock("@/stores/live", () => ({ watchDocuments: (watcher: Watcher) => (watchers.push(watcher), () => undefined) }));

/** Locks as browsers have them: one that is let go is free a moment later. */
class Locks {
  readonly held = new Set<string>();

  async request(name: string, _options: object, work: (lock: object | null) => unknown): Promise<unknown> {
    await Promise.resolve();
    if (this.held.has(name)) return await work(null);
    this.held.add(name);
    const given = await work({ name });
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.held.delete(name);
    return given;
  }
}

let locks: Locks;
const created = vi.fn();

beforeEach(() => {
  setActivePinia(createPinia());
  watchers.length = 0;
  created.mockReset();
  locks = new Locks();
  Object.defineProperty(navigator, "locks", { value: locks, configurable: true });
  vi.stubGlobal("Worker", class {
    onerror: () => void = () => undefined;
    postMessage(): void {
      setTimeout(() => this.onerror(), 0); // it cannot be loaded
    }
    terminate(): void {}
  });
  vi.spyOn(api, "post").mockImplementation((async (path: string, { body }: { body: { filename: string } }) => {
    if (path !== "/api/documents") return undefined;
    created(body.filename);
    await new Promise(() => undefined);
  }) as never);
});

const file = (name: string) => ({ file: new File([name], name, { lastModified: 1 }), handle: null });

function record(id: string, owner: string): UploadRecord {
  return {
    id, owner, name: `${id}.txt`, size: 3, type: "text/plain", lastModified: 1, addedAt: 1, state: "sending", sha256: "x", documentId: null,
    allowDuplicate: false, problem: null, duplicateOf: null, kept: new Blob(["abc"]),
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(condition()).toBe(true);
}

it("takes up, after signing out and in again, what this tab was at", async () => {
  const uploads = useUploads();
  await uploads.start("ada");
  uploads.add([file("a.txt")]);
  await until(() => created.mock.calls.length === 1);
  uploads.stop();
  await uploads.start("ada");
  expect(uploads.uploads.map((upload) => upload.name)).toEqual(["a.txt"]);
  uploads.stop();
});

it("takes up nothing of whoever left meanwhile, and holds none of it", async () => {
  await new QueueStorage().save(record("hers", "grace"));
  const uploads = useUploads();
  const hers = uploads.start("grace");
  uploads.stop();
  await Promise.all([hers, uploads.start("alan")]);
  expect(uploads.uploads).toEqual([]);
  await until(() => locks.held.size === 0);
  expect(created).not.toHaveBeenCalled();
  uploads.stop();
  await uploads.start("grace");
  expect(uploads.uploads.map((upload) => upload.id)).toEqual(["hers"]);
  uploads.stop();
});

it("adds nothing for whoever has signed out while their files were looked at", () => {
  const uploads = useUploads();
  uploads.add([file("late.txt")]);
  expect(uploads.uploads).toEqual([]);
});

it("hashes in the page when there is no worker to be had", async () => {
  const uploads = useUploads();
  await uploads.start("eve");
  uploads.add([file("b.txt")]);
  await until(() => created.mock.calls.length === 1);
  expect(uploads.uploads[0]!.sha256).toMatch(/^[0-9a-f]{64}$/);
  uploads.stop();
});

it("tells when the words of the last one were found although that news was missed", async () => {
  vi.mocked(api.post).mockImplementation((async (path: string) =>
    path === "/api/documents" ? { document: { id: "d1" }, upload: { method: "multipart", part_size: 9, part_count: 0 } } : undefined) as never);
  vi.spyOn(api, "get").mockResolvedValue({ id: "d1", status: "ready" } as never);
  const uploads = useUploads();
  await uploads.start("joan");
  uploads.add([file("c.txt")]);
  await until(() => uploads.uploads[0]!.state === "done");
  for (const watcher of watchers) watcher.missed?.();
  await until(() => uploads.foundIn?.documentId === "d1");
  uploads.stop();
  expect(uploads.foundIn).toBeNull();
});
