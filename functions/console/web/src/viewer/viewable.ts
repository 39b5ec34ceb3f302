import type { Document } from "@/api/types";

const PICTURES: Record<string, string> = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", webp: "image/webp", gif: "image/gif" };

/** What a file of this name is, as far as it can be shown; null of what cannot. */
export function typeByName(filename: string): string | null {
  const ending = filename.split(".").pop()!.toLowerCase();
  if (ending === "pdf") return "application/pdf";
  return PICTURES[ending] ?? (/^(txt|text|md|csv|log)$/.test(ending) ? "text/plain" : null);
}

/** Whether a browser can show it without running anything: PDF by pdf.js, pictures that browsers know. */
export function isViewable(document: Pick<Document, "content_type" | "status" | "trashed_at">): boolean {
  return document.status !== "uploading" && (document.content_type === "application/pdf" || Object.values(PICTURES).includes(document.content_type));
}
