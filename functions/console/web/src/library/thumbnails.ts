// Pictures of first pages, drawn on a canvas: they are asked for with the access token, and the policy allows no blob: addresses.
import { api } from "@/api/client";

const KEPT = 400;
const AT_ONCE = 4;
const kept = new Map<string, ImageBitmap | null>();
const waiting: { run: () => void; signal: AbortSignal }[] = [];
let running = 0;

/** The picture if it is here already; null if there is none, undefined if nobody knows yet. */
export function thumbnailAtHand(id: string, version: string): ImageBitmap | null | undefined {
  return kept.get(`${id} ${version}`);
}

/** The picture, or null if the document has none. Raises AbortError, or what the client raises. */
export async function thumbnail(id: string, version: string, signal: AbortSignal): Promise<ImageBitmap | null> {
  const key = `${id} ${version}`;
  const there = kept.get(key);
  if (there !== undefined) return there;
  await turn(signal);
  try {
    const bitmap = await load(id, signal);
    kept.set(key, bitmap);
    if (kept.size > KEPT) {
      const [oldest] = kept.keys();
      kept.get(oldest!)?.close();
      kept.delete(oldest!);
    }
    return bitmap;
  } finally {
    running--;
    next();
  }
}

export function forgetThumbnails(): void {
  for (const bitmap of kept.values()) bitmap?.close();
  kept.clear();
}

async function load(id: string, signal: AbortSignal): Promise<ImageBitmap | null> {
  try {
    const response = await api.raw("get", `/api/documents/${encodeURIComponent(id)}/thumbnail`, { signal });
    return await createImageBitmap(await response.blob());
  } catch (error) {
    if ((error as { status?: number }).status === 404) return null;
    throw error;
  }
}

function turn(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const one = { run: resolve, signal };
    signal.addEventListener("abort", () => {
      const at = waiting.indexOf(one);
      if (at >= 0) {
        waiting.splice(at, 1);
        reject(new DOMException("aborted", "AbortError"));
      }
    });
    waiting.push(one);
    next();
  });
}

function next(): void {
  while (running < AT_ONCE && waiting.length) {
    // The newest first: it is what somebody looks at now.
    const one = waiting.pop()!;
    if (one.signal.aborted) continue;
    running++;
    one.run();
  }
}
