// The owner's topics: few, so all of them, in the order of their names.
import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api } from "@/api/client";
import type { Topic } from "@/api/types";

export const useTopics = defineStore("topics", () => {
  const topics = ref<Topic[]>([]);
  const loaded = ref(false);
  const byId = computed(() => new Map(topics.value.map((topic) => [topic.id, topic])));
  let loading: Promise<void> | null = null;

  /** Once for all who ask at the same time. */
  function load(): Promise<void> {
    loading ??= loadNow().finally(() => (loading = null));
    return loading;
  }

  async function loadNow(): Promise<void> {
    const all: Topic[] = [];
    let cursor: string | undefined;
    do {
      const page = await api.get("/api/topics", { query: { limit: 200, cursor } });
      all.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    topics.value = all.sort((a, b) => a.name.localeCompare(b.name));
    loaded.value = true;
  }

  async function create(name: string, description: string, color: string | null): Promise<Topic> {
    const body = { name, ...(description ? { description } : {}), ...(color ? { color } : {}) };
    const topic = await api.post("/api/topics", { body });
    topics.value = [...topics.value, topic].sort((a, b) => a.name.localeCompare(b.name));
    return topic;
  }

  async function update(id: string, change: { name?: string; description?: string | null; color?: string | null; manual_only?: boolean }): Promise<void> {
    const topic = await api.patch("/api/topics/{topic_id}", { path: { topic_id: id }, body: change });
    topics.value = topics.value.map((one) => (one.id === id ? topic : one)).sort((a, b) => a.name.localeCompare(b.name));
  }

  async function remove(id: string): Promise<void> {
    await api.delete("/api/topics/{topic_id}", { path: { topic_id: id } });
    topics.value = topics.value.filter((topic) => topic.id !== id);
  }

  function clear(): void {
    topics.value = [];
    loaded.value = false;
  }

  return { topics, loaded, byId, load, create, update, remove, clear };
});
