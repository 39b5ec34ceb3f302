// What changes among the documents, as it happens. One tab listens for all tabs of the browser: a connection that stays open takes one of
// the six that a browser has for a server, and an account has twelve streams.
import { api } from "@/api/client";
import { listen } from "@/api/events";
import type { Document } from "@/api/types";

export interface Watcher {
  changed?: (document: Document) => void;
  removed?: (id: string) => void;
  /** Something may have been missed: look again. */
  missed?: () => void;
}

type Said = { user: string } & ({ changed: Document } | { removed: string } | { missed: true });

const watchers = new Set<Watcher>();
let stop: AbortController | null = null;
let channel: BroadcastChannel | null = null;

/** Until the function that it gives is called. */
export function watchDocuments(watcher: Watcher): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function handOn(said: Said): void {
  for (const watcher of watchers) {
    if ("changed" in said) watcher.changed?.(said.changed);
    else if ("removed" in said) watcher.removed?.(said.removed);
    else watcher.missed?.();
  }
}

export function startLive(user: string): void {
  stopLive();
  const stopping = (stop = new AbortController());
  if (typeof BroadcastChannel !== "undefined") {
    channel = new BroadcastChannel("docuvault-documents");
    channel.onmessage = (event: MessageEvent<Said>) => event.data.user === user && handOn(event.data);
  }
  const say = (said: Said) => {
    handOn(said);
    channel?.postMessage(said);
  };
  const work = () =>
    listen(
      api,
      "/api/documents/events",
      (event) => {
        if (event.type === "document") say({ user, changed: JSON.parse(event.data) as Document });
        else if (event.type === "document_removed") say({ user, removed: (JSON.parse(event.data) as { id: string }).id });
      },
      () => say({ user, missed: true }),
      stopping.signal,
    );
  // Without a lock each tab listens for itself.
  if (!navigator.locks) void work();
  else navigator.locks.request("docuvault-documents", { signal: stopping.signal }, work).catch(() => stopping.signal.aborted || void work());
}

export function stopLive(): void {
  stop?.abort();
  stop = null;
  channel?.close();
  channel = null;
}
