// Makes the page one that can be installed and shared to. A page that is not secure, or a browser without, goes on without.
import { SHELF } from "./shelf";

const IDLE_MILLISECONDS = 3000;

export function registerServiceWorker(): void {
  if (!("serviceWorker" in navigator)) return;
  const register = () => void navigator.serviceWorker.register("/assets/sw.js", { scope: "/" }).catch(() => undefined);
  if ("requestIdleCallback" in window) requestIdleCallback(register, { timeout: IDLE_MILLISECONDS });
  else setTimeout(register, IDLE_MILLISECONDS);
}

/** Whether somebody has come by sharing, or has shared before and was not signed in. */
export async function isSharedTo(): Promise<boolean> {
  if (new URLSearchParams(location.search).has("shared")) return true;
  return "caches" in window && (await caches.has(SHELF).catch(() => false));
}
