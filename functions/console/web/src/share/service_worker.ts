// The service worker: takes what the phone's share sheet sends. Nothing else: no request of the console's goes through it, so no answer of it
// can be stale.
import { putShared } from "./shared_files";

/** Of a service worker what is used here; TypeScript's own description of it does not go together with that of a page. */
interface Worker {
  addEventListener(type: "install" | "activate", listener: (event: { waitUntil(work: Promise<unknown>): void; addRoutes?(rules: object[]): Promise<void> }) => void): void;
  addEventListener(type: "fetch", listener: (event: { request: Request; respondWith(response: Promise<Response>): void }) => void): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  registration: { scope: string };
}

const worker = self as unknown as Worker;
const SHARE = "/share";

worker.addEventListener("install", (event) => {
  event.waitUntil(worker.skipWaiting());
  // What is only read goes past it, at no cost, where browsers know how.
  event.waitUntil(Promise.resolve(event.addRoutes?.([{ condition: { requestMethod: "GET" }, source: "network" }])).catch(() => undefined));
});
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("fetch", (event) => {
  if (event.request.method !== "POST" || new URL(event.request.url).pathname !== SHARE) return;
  event.respondWith(take(event.request));
});

async function take(request: Request): Promise<Response> {
  const at = (words: string) => Response.redirect(new URL(words, worker.registration.scope).href, 303);
  try {
    await putShared(await request.formData());
    return at("/?shared");
  } catch {
    return at("/?shared=failed"); // too large for this browser's storage, too many files, or no form
  }
}
