// What another app has shared with this one lies here until somebody who is signed in says yes or no to it: put in by the service worker,
// which is no page and knows no account.
import { SHELF } from "./shelf";

const HOURS_KEPT = 24;
const MOST_FILES = 200;

/** The fields of the form that the manifest tells the system to send. */
export const FIELDS = { files: "files", title: "title", text: "text", url: "url" } as const;

/** Lays down what was shared: files, or else words and an address as a text file. Raises RangeError for more than MOST_FILES. */
export async function putShared(form: FormData): Promise<void> {
  const files = form.getAll(FIELDS.files).filter((one): one is File => one instanceof File && one.size > 0);
  const words = [FIELDS.title, FIELDS.text, FIELDS.url].map((field) => String(form.get(field) ?? "").trim()).filter(Boolean);
  if (!files.length && words.length) files.push(new File([`${words.join("\n\n")}\n`], `${fileName(words[0]!)}.txt`, { type: "text/plain" }));
  if (files.length > MOST_FILES) throw new RangeError(`more than ${MOST_FILES} files`);
  const shelf = await caches.open(SHELF);
  const came = Date.now();
  for (const [index, file] of files.entries()) {
    const headers = { "content-type": file.type || "application/octet-stream", "x-name": encodeURIComponent(file.name), "x-came": String(came) };
    await shelf.put(`/shared-file/${came}-${index}`, new Response(file, { headers }));
  }
}

/** What lies there, the first that came first; what nobody wanted for a day is gone. */
export async function sharedFiles(): Promise<File[]> {
  const shelf = await caches.open(SHELF);
  const files: File[] = [];
  for (const request of await shelf.keys()) {
    const response = await shelf.match(request);
    const came = Number(response?.headers.get("x-came"));
    if (!response || !(Date.now() - came < HOURS_KEPT * 3_600_000)) {
      await shelf.delete(request);
      continue;
    }
    const blob = await response.blob();
    const name = decodeURIComponent(response.headers.get("x-name") ?? "");
    files.push(new File([blob], name || "shared", { type: blob.type, lastModified: came }));
  }
  return files;
}

export async function forgetShared(): Promise<void> {
  await caches.delete(SHELF);
}

/** Without what file systems do not take. */
function fileName(words: string): string {
  return words.replace(/[\p{Cc}/\\:*?"<>|]+/gu, " ").trim().slice(0, 80) || "shared";
}
