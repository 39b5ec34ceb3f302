// Who sent what: loaded when first asked for.
import { defineStore } from "pinia";
import { ref } from "vue";
import { api } from "@/api/client";

export interface SenderName {
  id: string;
  name: string;
  documents: number;
}

export const useSenders = defineStore("senders", () => {
  const senders = ref<SenderName[]>([]);
  let loading: Promise<void> | null = null;

  function load(): Promise<void> {
    loading ??= loadNow().finally(() => (loading = null));
    return loading;
  }

  async function loadNow(): Promise<void> {
    const all: SenderName[] = [];
    let cursor: string | undefined;
    do {
      const page = await api.get("/api/senders", { query: { limit: 200, cursor } });
      all.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && all.length < 2000);
    senders.value = all;
  }

  function clear(): void {
    senders.value = [];
  }

  return { senders, load, clear };
});
