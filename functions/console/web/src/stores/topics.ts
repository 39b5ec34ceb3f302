// The owner's topics: few, so all of them, in the order of their names.
import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api } from "@/api/client";
import type { Topic } from "@/api/types";
import { Asked } from "./asked";

export const useTopics = defineStore("topics", () => {
  const topics = ref<Topic[]>([]);
  const loaded = ref(false);
  const byId = computed(() => new Map(topics.value.map((topic) => [topic.id, topic])));
  const asked = new Asked(find, (found) => {
    show(found);
    loaded.value = true;
  });

  async function find(signal: AbortSignal): Promise<Topic[]> {
    const all: Topic[] = [];
    let cursor: string | undefined;
    do {
      const page = await api.get("/api/topics", { query: { limit: 200, cursor }, signal });
      all.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    return all;
  }

  function show(now: Topic[]): void {
    topics.value = now.sort((a, b) => a.name.localeCompare(b.name));
  }

  function changed(now: Topic[]): void {
    show(now);
    asked.changed();
  }

  async function create(name: string, description: string, color: string | null): Promise<Topic> {
    const body = { name, ...(description ? { description } : {}), ...(color ? { color } : {}) };
    const topic = await api.post("/api/topics", { body });
    changed([...topics.value.filter((one) => one.id !== topic.id), topic]);
    return topic;
  }

  async function update(id: string, change: { name?: string; description?: string | null; color?: string | null; manual_only?: boolean }): Promise<void> {
    const topic = await api.patch("/api/topics/{topic_id}", { path: { topic_id: id }, body: change });
    changed(topics.value.map((one) => (one.id === id ? topic : one)));
  }

  async function remove(id: string): Promise<void> {
    await api.delete("/api/topics/{topic_id}", { path: { topic_id: id } });
    changed(topics.value.filter((topic) => topic.id !== id));
  }

  /** Files what is under the one under the other, which is returned; the first is gone. */
  async function merge(id: string, into: string): Promise<Topic> {
    const merged = await api.post("/api/topics/{topic_id}/merge", { path: { topic_id: id }, body: { into } });
    changed(topics.value.filter((one) => one.id !== id).map((one) => (one.id === into ? merged : one)));
    return merged;
  }

  function clear(): void {
    asked.forget();
    topics.value = [];
    loaded.value = false;
  }

  return { topics, loaded, byId, load: () => asked.look(), create, update, remove, merge, clear };
});
