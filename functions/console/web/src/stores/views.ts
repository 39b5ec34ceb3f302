// Saved views: a name for what the library shows.
import { defineStore } from "pinia";
import { ref } from "vue";
import { api } from "@/api/client";
import type { View, ViewQuery } from "@/api/types";

export const useViews = defineStore("views", () => {
  const views = ref<View[]>([]);

  async function load(): Promise<void> {
    views.value = (await api.get("/api/views", { query: { limit: 200 } })).items;
  }

  async function create(name: string, query: ViewQuery): Promise<View> {
    const view = await api.post("/api/views", { body: { name, query: query as never, pinned: true } });
    views.value = [...views.value, view];
    return view;
  }

  async function remove(view: View): Promise<void> {
    await api.delete("/api/views/{view_id}", { path: { view_id: view.id } });
    views.value = views.value.filter((one) => one.id !== view.id);
  }

  function clear(): void {
    views.value = [];
  }

  return { views, load, create, remove, clear };
});
