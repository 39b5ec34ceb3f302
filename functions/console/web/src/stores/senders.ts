// Who sent what: loaded when first asked for.
import { defineStore } from "pinia";
import { ref } from "vue";
import { api } from "@/api/client";
import { Asked } from "./asked";

export interface SenderName {
  id: string;
  name: string;
  documents: number;
}

export const useSenders = defineStore("senders", () => {
  const senders = ref<SenderName[]>([]);
  const asked = new Asked(find, (found) => (senders.value = found));

  async function find(signal: AbortSignal): Promise<SenderName[]> {
    const all: SenderName[] = [];
    let cursor: string | undefined;
    do {
      const page = await api.get("/api/senders", { query: { limit: 200, cursor }, signal });
      all.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && all.length < 2000);
    return all;
  }

  function clear(): void {
    asked.forget();
    senders.value = [];
  }

  return { senders, load: () => asked.look(), clear };
});
