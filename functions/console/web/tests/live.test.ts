import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startLive, stopLive, watchDocuments } from "@/stores/live";

type Listening = { say: (event: { type: string; data: string }) => void; gap: () => void; signal: AbortSignal };
const listening: Listening[] = [];
vi.mock("@/api/events", () => ({
  listen: (_api: unknown, _url: string, say: Listening["say"], gap: () => void, signal: AbortSignal) => {
    listening.push({ say, gap, signal });
    return new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  },
}));

const heard: unknown[] = [];
let unwatch = () => {};

beforeEach(() => {
  listening.length = heard.length = 0;
  const watcher = { changed: (one: { id: string }) => heard.push(one.id), removed: (id: string) => heard.push(`-${id}`), missed: () => heard.push("missed") };
  unwatch = watchDocuments(watcher as never);
});
afterEach(() => {
  stopLive();
  unwatch();
});

const locks = (value: unknown) => Object.defineProperty(navigator, "locks", { value, configurable: true });

it("hands on what changes, what is gone and that something was missed", () => {
  locks(undefined);
  startLive("ada");
  listening[0]!.gap();
  listening[0]!.say({ type: "document", data: '{"id":"d1"}' });
  listening[0]!.say({ type: "document_removed", data: '{"id":"d2"}' });
  listening[0]!.say({ type: "job", data: "{}" });
  expect(heard).toEqual(["missed", "d1", "-d2"]);
});

it("listens although the browser gives no locks", async () => {
  locks({ request: () => Promise.reject(new DOMException("not here", "SecurityError")) });
  startLive("ada");
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(listening).toHaveLength(1);
});

it("does not listen for whoever has left while another tab listened", async () => {
  locks({
    request: (_name: string, { signal }: { signal: AbortSignal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")))),
  });
  startLive("ada");
  stopLive();
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(listening).toEqual([]);
});

it("tells the other tabs of the same person, and them alone", async () => {
  locks(undefined);
  const other = new BroadcastChannel("docuvault-documents");
  const told: unknown[] = [];
  other.onmessage = (event) => told.push((event as MessageEvent).data);
  startLive("ada");
  listening[0]!.say({ type: "document", data: '{"id":"d1"}' });
  other.postMessage({ user: "ada", removed: "d3" });
  other.postMessage({ user: "grace", removed: "d4" });
  for (let i = 0; i < 500 && (told.length < 1 || heard.length < 2); i++) await new Promise((resolve) => setTimeout(resolve, 2));
  expect([told, heard]).toEqual([[{ user: "ada", changed: { id: "d1" } }], ["d1", "-d3"]]);
  other.close();
});
