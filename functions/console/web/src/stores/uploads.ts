// The queue of uploads in this browser, for whoever is signed in.
import { defineStore } from "pinia";
import { computed, ref, shallowRef, triggerRef } from "vue";
import { api, sleep } from "@/api/client";
import { UnreachableError } from "@/api/problems";
import type { Document } from "@/api/types";
import type { Picked } from "@/uploads/picking";
import { type Instructions, type Totals, totals, type Upload, UploadQueue, type UploadRecord } from "@/uploads/queue";
import { sha256 } from "@/uploads/sha256";
import type { HashReply, HashRequest } from "@/uploads/sha256.worker";
import { QueueStorage } from "@/uploads/storage";
import { watchDocuments } from "./live";

const KEPT_BYTES = 16 * 2 ** 20;
/** Files up to this size are kept whole, so that a reload needs nobody to pick them again. */
const SPEED_MILLISECONDS = 6000;
const SHOWN_MILLISECONDS = 100;

export const useUploads = defineStore("uploads", () => {
  const storage = new QueueStorage();
  const uploads = shallowRef<Upload[]>([]);
  const paused = ref(false);
  const open = ref(false);
  const speed = ref<number | null>(null);
  /** Milliseconds from picking a file to its text being found, of the last one that got there. */
  const foundIn = ref<{ documentId: string; milliseconds: number } | null>(null);
  const wereFound = new WeakSet<Upload>();
  const all = computed<Totals>(() => totals(uploads.value));
  const secondsLeft = computed(() => (speed.value && all.value.open ? (all.value.bytes - all.value.sent) / speed.value : null));
  /** What this tab has claimed: the way to let it go, and when it is gone. */
  const claims = new Map<string, { release: () => void; released: Promise<unknown> }>();
  let samples: { at: number; sent: number }[] = [];
  let owner = "";
  /** How often somebody came or went: what began before is not for whoever is here now. */
  let turn = 0;
  let letGo: Promise<unknown> = Promise.resolve();
  let shown: ReturnType<typeof setTimeout> | undefined;

  const queue = new UploadQueue({
    create: async (upload) => {
      const created = await api.post("/api/documents", {
        body: {
          filename: upload.name,
          size: upload.size,
          content_type: upload.type || "application/octet-stream",
          sha256: upload.sha256,
          allow_duplicate: upload.allowDuplicate,
        },
        headers: { "idempotency-key": `${upload.id}-${upload.allowDuplicate ? "again" : "once"}-${upload.sha256?.slice(0, 12)}${upload.lapsed ? `-${upload.lapsed}` : ""}` },
      });
      return { documentId: created.document.id, instructions: { parts: [], ...created.upload } as Instructions };
    },
    resume: async (documentId) =>
      (await api.get("/api/documents/{document_id}/upload", { path: { document_id: documentId } })) as unknown as Instructions,
    sign: async (documentId, numbers) => {
      const path = { document_id: documentId };
      return (await api.post("/api/documents/{document_id}/upload/parts", { path, body: { numbers } })).items;
    },
    complete: async (documentId) => {
      await api.post("/api/documents/{document_id}/complete", { path: { document_id: documentId }, body: {} });
    },
    abort: async (documentId) => {
      await api.delete("/api/documents/{document_id}/upload", { path: { document_id: documentId } });
    },
    put,
    hash,
    save: async (record) => storage.save(record).catch(() => storage.save({ ...record, kept: null }).catch(() => undefined)),
    forget: async (id) => {
      claims.get(id)?.release();
      claims.delete(id);
      await storage.forget(id).catch(() => undefined);
    },
    sleep: (milliseconds, signal) => sleep(milliseconds, signal),
    now: () => Date.now(),
    changed: showSoon,
  });
  uploads.value = queue.uploads;

  /** Takes up what this browser still has to upload for `user`, but for what another tab is at. */
  async function start(user: string): Promise<void> {
    owner = user;
    const mine = ++turn;
    queue.resume();
    await letGo; // what this tab had claimed until a moment ago
    const records = await storage.all(user).catch(() => [] as UploadRecord[]);
    for (const record of records) {
      if (mine !== turn) return;
      if (queue.uploads.some((upload) => upload.id === record.id) || !(await claim(record.id, mine))) continue;
      const file = await fileOf(record);
      if (mine !== turn) return; // somebody else is signed in: it is not theirs
      if (record.state === "done") await storage.forget(record.id).catch(() => undefined);
      else queue.adopt({ ...record, file, sent: 0, error: null, startedAt: null, finishedAt: null });
    }
    if (mine === turn && queue.uploads.length) open.value = true;
  }

  function stop(): void {
    owner = "";
    turn++;
    queue.close();
    letGo = Promise.allSettled([letGo, ...[...claims.values()].map(({ released }) => released)]);
    for (const { release } of claims.values()) release();
    claims.clear();
    open.value = false;
    foundIn.value = null;
  }

  function add(picked: readonly Picked[]): void {
    if (owner === "") return; // signed out while the files were being looked at
    for (const { file, handle } of picked) {
      const lost = queue.uploads.find((upload) => upload.state === "file-needed" && upload.name === file.name && upload.size === file.size);
      if (lost && queue.give(lost, file)) continue;
      const id = randomId();
      void claim(id, turn);
      queue.add({
        id,
        owner,
        name: file.name,
        size: file.size,
        type: file.type,
        lastModified: file.lastModified,
        addedAt: Date.now(),
        state: "waiting",
        sha256: null,
        documentId: null,
        allowDuplicate: false,
        problem: null,
        duplicateOf: null,
        kept: handle ?? (file.size <= KEPT_BYTES ? file : null),
        file,
        sent: 0,
        error: null,
        startedAt: null,
        finishedAt: null,
      });
    }
    if (picked.length) open.value = true;
  }

  /** A handle's file may be read again only after the person has agreed, by a click. */
  async function reopen(upload: Upload): Promise<boolean> {
    const handle = upload.kept as (FileSystemFileHandle & { requestPermission?(options: { mode: "read" }): Promise<string> }) | null;
    if (!handle || !("getFile" in handle)) return false;
    try {
      if ((await handle.requestPermission?.({ mode: "read" })) === "denied") return false;
      return queue.give(upload, await handle.getFile());
    } catch {
      return false;
    }
  }

  function showSoon(): void {
    shown ??= setTimeout(() => {
      shown = undefined;
      paused.value = queue.paused;
      measure();
      triggerRef(uploads);
    }, SHOWN_MILLISECONDS);
  }

  function measure(): void {
    const now = Date.now();
    const { sent, open: under } = totals(queue.uploads);
    samples = [...samples.filter((sample) => now - sample.at < SPEED_MILLISECONDS), { at: now, sent }];
    const first = samples[0]!;
    const passed = now - first.at;
    speed.value = under && passed > 500 && sent > first.sent ? ((sent - first.sent) / passed) * 1000 : null;
    if (!under) samples = [];
  }

  function found(document: Pick<Document, "id" | "status">): void {
    if (document.status !== "extracted" && document.status !== "ready") return;
    const upload = queue.uploads.find((one) => one.documentId === document.id);
    if (!upload?.startedAt || wereFound.has(upload)) return;
    wereFound.add(upload);
    foundIn.value = { documentId: document.id, milliseconds: Date.now() - upload.addedAt };
  }

  /** The news that its text is found may be among what was missed: the last one that is done is asked for. */
  async function lookAgain(): Promise<void> {
    const last = queue.uploads.findLast((one) => one.state === "done" && one.documentId !== null);
    if (!last || wereFound.has(last)) return;
    found(await api.get("/api/documents/{document_id}", { path: { document_id: last.documentId! } }));
  }

  watchDocuments({ changed: found, missed: () => void lookAgain().catch(() => undefined) });

  addEventListener("beforeunload", (event) => {
    const lost = queue.uploads.some((upload) => upload.kept === null && ["waiting", "hashing", "sending", "finishing"].includes(upload.state));
    if (lost) event.preventDefault();
  });
  addEventListener("online", () => queue.retryAll());

  /** Until the tab is gone or whoever claims it leaves; false if another tab has it. */
  async function claim(id: string, claimant: number): Promise<boolean> {
    if (!navigator.locks) return true;
    return await new Promise((resolve) => {
      const released: Promise<unknown> = navigator.locks.request(`docuvault-upload-${id}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null && claimant === turn);
        return lock === null || claimant !== turn ? undefined : new Promise<void>((release) => claims.set(id, { release, released }));
      });
      released.catch(() => resolve(true)); // no locks to be had (the page is going away): as without them
    });
  }

  return {
    uploads, paused, open, speed, all, secondsLeft, foundIn, start, stop, add, reopen,
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    retry: (upload: Upload) => queue.retry(upload),
    retryAll: () => queue.retryAll(),
    remove: (upload: Upload) => queue.remove(upload),
    clearDone: () => queue.clearDone(),
  };
});

async function fileOf(record: UploadRecord): Promise<Blob | null> {
  if (record.kept === null) return null;
  if (record.kept instanceof Blob) return record.kept;
  const handle = record.kept as FileSystemFileHandle & { queryPermission?(options: { mode: "read" }): Promise<string> };
  try {
    if ((await handle.queryPermission?.({ mode: "read" })) !== "granted") return null;
    const file = await handle.getFile();
    return file.size === record.size && file.lastModified === record.lastModified ? file : null;
  } catch {
    return null;
  }
}

/** By XMLHttpRequest, which tells how much has been sent. */
function put(url: string, headers: Record<string, string>, body: Blob, sent: (bytes: number) => void, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    const aborted = () => request.abort();
    signal.addEventListener("abort", aborted, { once: true });
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) if (!/^(content-length|host)$/i.test(name)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => sent(event.loaded);
    request.onload = () => resolve(request.status);
    request.onerror = () => reject(new UnreachableError());
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", aborted);
    request.send(body);
  });
}

let worker: Worker | null = null;
let asked = 0;
const waiting = new Map<number, { file: Blob; read: (bytes: number) => void; resolve: (hex: string) => void; reject: (error: unknown) => void }>();

/** In the worker; in the page itself if the worker cannot be loaded. */
function hash(file: Blob, read: (bytes: number) => void): Promise<string> {
  if (worker === null) {
    worker = new Worker(new URL("../uploads/sha256.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (event: MessageEvent<HashReply>) => {
      const reply = event.data;
      const one = waiting.get(reply.id);
      if ("read" in reply) return one?.read(reply.read);
      waiting.delete(reply.id);
      if ("hex" in reply) one?.resolve(reply.hex);
      else one?.reject(new DOMException(reply.failed, "NotReadableError"));
    };
    worker.onerror = () => {
      worker?.terminate();
      worker = null;
      const left = [...waiting.values()];
      waiting.clear();
      for (const one of left) sha256(one.file, one.read).then(one.resolve, (error: unknown) => one.reject(new DOMException(String(error), "NotReadableError")));
    };
  }
  const id = ++asked;
  return new Promise((resolve, reject) => {
    waiting.set(id, { file, read, resolve, reject });
    worker!.postMessage({ id, file } satisfies HashRequest);
  });
}

/** Where a page is not secure there is no randomUUID. */
function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
