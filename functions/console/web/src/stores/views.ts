// Saved views: a name for what the library shows.
import { defineStore } from "pinia";
import { ref } from "vue";
import { api } from "@/api/client";
import type { View, ViewQuery } from "@/api/types";
import { Asked } from "./asked";

export const useViews = defineStore("views", () => {
  const views = ref<View[]>([]);
  const asked = new Asked(
    async (signal) => (await api.get("/api/views", { query: { limit: 200 }, signal })).items,
    (found) => (views.value = found),
  );

  async function create(name: string, query: ViewQuery): Promise<View> {
    const view = await api.post("/api/views", { body: { name, query: query as never, pinned: true } });
    views.value = [...views.value.filter((one) => one.id !== view.id), view];
    asked.changed();
    return view;
  }

  async function remove(view: View): Promise<void> {
    await api.delete("/api/views/{view_id}", { path: { view_id: view.id } });
    views.value = views.value.filter((one) => one.id !== view.id);
    asked.changed();
  }

  function clear(): void {
    asked.forget();
    views.value = [];
  }

  return { views, load: () => asked.look(), create, remove, clear };
});
