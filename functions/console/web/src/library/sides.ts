// What is shown of a document, or of a version of it, beside another one.
import type { Document, ResponseOf } from "@/api/types";
import { dateTime, day, size } from "@/i18n/formats";
import { typeName } from "./filters";

export type Version = ResponseOf<"/api/documents/{document_id}/versions", "get">["items"][number];

export interface Side {
  key: string;
  title: string;
  document: Document;
  /** An earlier version; without it, the document as it is. */
  version?: { id: string; filename: string };
  /** Name of a fact (a message of `pair.facts`) and what it is; both sides have the same names. */
  facts: [name: string, value: string][];
}

export function documentSide(document: Document): Side {
  return {
    key: `${document.id} ${document.version}`,
    title: document.title,
    document,
    facts: [
      ["created_at", dateTime(document.created_at)],
      ["type", typeName(document.content_type)],
      ["size", size(document.size)],
      ["pages", document.page_count ? String(document.page_count) : ""],
      ["issued_on", document.issued_on ? day(document.issued_on) : ""],
      ["sender", document.sender?.name ?? ""],
      ["topics", document.topics.map((topic) => topic.name).sort().join(", ")],
    ],
  };
}

export function versionSide(document: Document, version: Version, title: string): Side {
  return {
    key: version.id,
    title,
    document,
    version: { id: version.id, filename: version.filename },
    facts: [
      ["filename", version.filename],
      ["version_at", dateTime(version.created_at)],
      ["size", size(version.size)],
    ],
  };
}
