import type { Document } from "@/api/types";

const PICTURES = new Set(["image/png", "image/jpeg", "image/webp", "image/gif"]);

/** Whether a browser can show it without running anything: PDF by pdf.js, pictures that browsers know. */
export function isViewable(document: Pick<Document, "content_type" | "status" | "trashed_at">): boolean {
  return document.status !== "uploading" && (document.content_type === "application/pdf" || PICTURES.has(document.content_type));
}
