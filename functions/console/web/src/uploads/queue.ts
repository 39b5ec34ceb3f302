// The queue of uploads: what survives what, and what comes next. It knows the browser only by its `Ports`, so tests can cut it anywhere.
//
// The truth is the server's: an upload is done when complete_upload says so, not when the bytes have left. After a reload each upload under
// way is asked for by get_upload: parts that arrived are not sent again, what is whole is only completed.
import { isProblem, ProblemError, UnreachableError } from "@/api/problems";

export type UploadState = "waiting" | "hashing" | "sending" | "finishing" | "done" | "failed" | "duplicate" | "file-needed";

/** What is kept across reloads. */
export interface UploadRecord {
  id: string;
  owner: string;
  name: string;
  size: number;
  type: string;
  lastModified: number;
  addedAt: number;
  state: UploadState;
  sha256: string | null;
  documentId: string | null;
  allowDuplicate: boolean;
  /** How many reservations of it ran out: each new one is another request, and not the first one's answer once more. */
  lapsed?: number;
  /** Of something that failed: the error's code, or a word of our own. */
  problem: string | null;
  duplicateOf: string | null;
  /** The bytes themselves if they are few, or a handle to ask the browser for them; else the file must be picked again. */
  kept: Blob | FileSystemFileHandle | null;
}

/** A record with what is known of it in this tab alone. */
export interface Upload extends UploadRecord {
  file: Blob | null;
  /** Bytes that the store has, or is being sent. */
  sent: number;
  error: unknown;
  startedAt: number | null;
  finishedAt: number | null;
}

export type Instructions =
  | { method: "single"; url: string; headers: Record<string, string> }
  | { method: "multipart"; part_size: number; part_count: number; parts: { number: number; size: number }[] };

export interface Ports {
  create(upload: UploadRecord): Promise<{ documentId: string; instructions: Instructions }>;
  resume(documentId: string): Promise<Instructions>;
  sign(documentId: string, numbers: number[]): Promise<{ number: number; url: string; headers: Record<string, string> }[]>;
  complete(documentId: string): Promise<void>;
  abort(documentId: string): Promise<void>;
  /** Gives the status; raises UnreachableError, or AbortError. */
  put(url: string, headers: Record<string, string>, body: Blob, sent: (bytes: number) => void, signal: AbortSignal): Promise<number>;
  hash(file: Blob, read: (bytes: number) => void): Promise<string>;
  save(record: UploadRecord): Promise<void>;
  forget(id: string): Promise<void>;
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  now(): number;
  changed(): void;
}

export const AT_ONCE = 3;
const PARTS_AT_ONCE = 3;
const SIGNED_AT_ONCE = 12;
const TRIES = 7;
const LONGEST_PAUSE = 15_000;
const UNDER_WAY: ReadonlySet<UploadState> = new Set(["hashing", "sending", "finishing"]);
const OPEN: ReadonlySet<UploadState> = new Set(["waiting", "hashing", "sending", "finishing"]);

export class UploadQueue {
  readonly uploads: Upload[] = [];
  paused = false;
  private readonly running = new Map<string, AbortController>();
  /** What was taken out of the queue while it was under way: nothing of it is kept. */
  private readonly removed = new WeakSet<Upload>();

  constructor(private readonly ports: Ports) {}

  add(upload: Upload): void {
    this.uploads.push(upload);
    void this.ports.save(record(upload));
    this.next();
  }

  /** Takes up what an earlier tab left. */
  adopt(upload: Upload): void {
    if (UNDER_WAY.has(upload.state)) upload.state = "waiting";
    if (upload.state === "waiting" && upload.file === null) upload.state = "file-needed";
    this.uploads.push(upload);
    this.next();
  }

  /** The file of an upload that lost it; true if it is that file. */
  give(upload: Upload, file: Blob & { name?: string; lastModified?: number }): boolean {
    if (upload.state !== "file-needed" || file.size !== upload.size || file.name !== upload.name) return false;
    if (file.lastModified !== undefined && file.lastModified !== upload.lastModified) return false;
    upload.file = file;
    upload.state = "waiting";
    this.saved(upload);
    this.next();
    return true;
  }

  pause(): void {
    this.paused = true;
    for (const controller of this.running.values()) controller.abort();
    this.ports.changed();
  }

  resume(): void {
    this.paused = false;
    this.next();
  }

  retry(upload: Upload): void {
    if (upload.state !== "failed" && upload.state !== "duplicate") return;
    if (upload.state === "duplicate") upload.allowDuplicate = true;
    upload.state = upload.file === null ? "file-needed" : "waiting";
    upload.problem = upload.error = null;
    this.saved(upload);
    this.next();
  }

  retryAll(): void {
    for (const upload of this.uploads) if (upload.state === "failed") this.retry(upload);
  }

  /** Takes it out of the queue; gives up what the server reserved, unless it is done. */
  remove(upload: Upload): void {
    this.removed.add(upload);
    this.running.get(upload.id)?.abort();
    const at = this.uploads.indexOf(upload);
    if (at >= 0) this.uploads.splice(at, 1);
    void this.ports.forget(upload.id);
    if (upload.documentId !== null && upload.state !== "done") this.ports.abort(upload.documentId).catch(() => undefined);
    this.ports.changed();
    this.next();
  }

  clearDone(): void {
    for (const upload of [...this.uploads]) if (upload.state === "done" || upload.state === "duplicate") this.remove(upload);
  }

  /** Stops all and forgets it in this tab: somebody signed out. What is kept is there when its owner comes back. */
  close(): void {
    this.pause();
    this.uploads.length = 0;
    this.ports.changed();
  }

  private next(): void {
    this.ports.changed();
    while (!this.paused && this.running.size < AT_ONCE) {
      const upload = this.uploads.find((one) => one.state === "waiting" && !this.running.has(one.id));
      if (!upload) return;
      const controller = new AbortController();
      this.running.set(upload.id, controller);
      upload.state = "hashing";
      void this.run(upload, controller.signal).finally(() => {
        this.running.delete(upload.id);
        this.next();
      });
    }
  }

  private async run(upload: Upload, signal: AbortSignal): Promise<void> {
    upload.startedAt ??= this.ports.now();
    try {
      await this.send(upload, signal);
      upload.sent = upload.size;
      upload.finishedAt = this.ports.now();
      upload.kept = upload.file = null;
      this.to(upload, "done");
    } catch (error) {
      if (!this.uploads.includes(upload)) return; // removed meanwhile
      if (signal.aborted) this.to(upload, "waiting");
      else this.fail(upload, error);
    }
  }

  private fail(upload: Upload, error: unknown): void {
    upload.error = error;
    if (isProblem(error, "duplicate_document")) {
      upload.duplicateOf = String(error.body.document_id);
      this.to(upload, "duplicate");
      return;
    }
    upload.problem = error instanceof ProblemError ? error.code : error instanceof UnreachableError ? "unreachable" : unreadable(error) ? "unreadable" : "unexpected";
    // What failed goes last, so that the rest is not kept waiting when all is tried again.
    this.uploads.splice(this.uploads.indexOf(upload), 1);
    this.uploads.push(upload);
    this.to(upload, "failed");
  }

  private async send(upload: Upload, signal: AbortSignal): Promise<void> {
    const file = upload.file!;
    if (upload.sha256 === null) {
      upload.sha256 = await this.ports.hash(file, () => undefined);
      signal.throwIfAborted();
      this.saved(upload);
    }
    this.to(upload, "sending");
    for (let attempt = 1; ; attempt++) {
      try {
        const instructions = await this.instructions(upload, signal);
        signal.throwIfAborted();
        if (instructions !== null) await this.put(upload, file, instructions, signal);
        this.to(upload, "finishing");
        await this.ports.complete(upload.documentId!);
        return;
      } catch (error) {
        if (signal.aborted || attempt >= TRIES || !worthAnotherTry(error, upload)) throw error;
        this.to(upload, "sending");
        await this.ports.sleep(Math.min(500 * 2 ** attempt, LONGEST_PAUSE), signal);
      }
    }
  }

  /** What is still to be sent; null if all of it is there. */
  private async instructions(upload: Upload, signal: AbortSignal): Promise<Instructions | null> {
    if (upload.documentId !== null) {
      try {
        return await this.ports.resume(upload.documentId);
      } catch (error) {
        if (isProblem(error, "upload_finished")) return null;
        if (!isProblem(error, "not_found")) throw error;
        upload.documentId = null; // its reservation ran out
        upload.lapsed = (upload.lapsed ?? 0) + 1;
      }
    }
    signal.throwIfAborted(); // it may be somebody else who is signed in by now
    upload.sent = 0;
    const { documentId, instructions } = await this.ports.create(upload);
    if (this.removed.has(upload)) {
      this.ports.abort(documentId).catch(() => undefined);
      signal.throwIfAborted();
    }
    upload.documentId = documentId;
    await this.ports.save(record(upload));
    return instructions;
  }

  private async put(upload: Upload, file: Blob, instructions: Instructions, signal: AbortSignal): Promise<void> {
    if (instructions.method === "multipart") return await this.putParts(upload, file, instructions, signal);
    const status = await this.ports.put(instructions.url, instructions.headers, file, (bytes) => this.sent(upload, bytes), signal);
    if (status !== 412) refuse(status); // 412: it is there already (If-None-Match), so it only needs to be completed
  }

  private async putParts(upload: Upload, file: Blob, { part_size, part_count, parts }: Extract<Instructions, { method: "multipart" }>, signal: AbortSignal): Promise<void> {
    const length = (number: number) => Math.min(part_size, file.size - part_size * (number - 1));
    const there = new Set(parts.filter((part) => part.size === length(part.number)).map((part) => part.number));
    const missing = Array.from({ length: part_count }, (_, index) => index + 1).filter((number) => !there.has(number));
    const progress = new Map<number, number>([...there].map((number) => [number, length(number)]));
    const tell = () => this.sent(upload, [...progress.values()].reduce((sum, bytes) => sum + bytes, 0));
    tell();
    for (let at = 0; at < missing.length; at += SIGNED_AT_ONCE) {
      const signed = await this.ports.sign(upload.documentId!, missing.slice(at, at + SIGNED_AT_ONCE));
      const failed = new AbortController();
      const either = AbortSignal.any([signal, failed.signal]);
      const worker = async () => {
        for (let part = signed.shift(); part; part = signed.shift()) {
          const { number, url, headers } = part;
          const start = part_size * (number - 1);
          const body = file.slice(start, start + length(number));
          try {
            refuse(await this.ports.put(url, headers, body, (bytes) => (progress.set(number, bytes), tell()), either));
          } catch (error) {
            progress.delete(number);
            failed.abort(error);
            throw error;
          }
          progress.set(number, length(number));
        }
      };
      const all = await Promise.allSettled(Array.from({ length: PARTS_AT_ONCE }, worker));
      signal.throwIfAborted();
      if (failed.signal.aborted) throw failed.signal.reason;
      const rejected = all.find((one) => one.status === "rejected");
      if (rejected) throw rejected.reason;
    }
  }

  private sent(upload: Upload, bytes: number): void {
    upload.sent = Math.min(bytes, upload.size);
    this.ports.changed();
  }

  private to(upload: Upload, state: UploadState): void {
    upload.state = state;
    this.saved(upload);
  }

  private saved(upload: Upload): void {
    if (!this.removed.has(upload)) void this.ports.save(record(upload));
    this.ports.changed();
  }
}

/** The store refused, or took it. */
class StoreRefused extends Error {
  constructor(readonly status: number) {
    super(`the store responded with ${status}`);
  }
}

function refuse(status: number): void {
  if (status < 200 || status >= 300) throw new StoreRefused(status);
}

/** The latter: what the page asked for before it was loaded anew is still being done. */
const WORTH_ANOTHER_TRY: ReadonlySet<string> = new Set(["upload_incomplete", "idempotency_conflict"]);

function worthAnotherTry(error: unknown, upload: Upload): boolean {
  if (error instanceof UnreachableError) return true;
  // A URL that has run out (403), parts that are gone (404): the next try asks for new instructions.
  if (error instanceof StoreRefused) return upload.documentId !== null;
  return error instanceof ProblemError && (error.status >= 500 || error.status === 429 || WORTH_ANOTHER_TRY.has(error.code));
}

function unreadable(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "NotFoundError" || error.name === "NotReadableError");
}

export function record(upload: Upload): UploadRecord {
  const { file: _file, sent: _sent, error: _error, startedAt: _started, finishedAt: _finished, ...kept } = upload;
  return kept;
}

export interface Totals {
  files: number;
  done: number;
  failed: number;
  waitingForFile: number;
  duplicates: number;
  bytes: number;
  sent: number;
  open: boolean;
  /** From 0 to 1; 1 only when the server has confirmed every one. */
  share: number;
}

/** What can be said of all of them together, and be true. */
export function totals(uploads: readonly Upload[]): Totals {
  const counted = uploads.filter((upload) => upload.state !== "duplicate");
  const bytes = counted.reduce((sum, upload) => sum + upload.size, 0);
  const sent = counted.reduce((sum, upload) => sum + (upload.state === "done" ? upload.size : Math.min(upload.sent, upload.size)), 0);
  const number = (state: UploadState) => uploads.filter((upload) => upload.state === state).length;
  const done = number("done");
  const share = bytes === 0 ? 0 : sent / bytes;
  return {
    files: uploads.length,
    done,
    failed: number("failed"),
    waitingForFile: number("file-needed"),
    duplicates: number("duplicate"),
    bytes,
    sent,
    open: uploads.some((upload) => OPEN.has(upload.state)),
    share: done === counted.length && counted.length > 0 ? 1 : Math.min(share, 0.99),
  };
}
