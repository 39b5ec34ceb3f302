// A list that comes by pages: the first, and more on request.
import { ref, type Ref } from "vue";
import { explain } from "@/i18n/explain";

interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export function listing<T>(fetchPage: (cursor: string | undefined) => Promise<Page<T>>) {
  const items = ref([]) as Ref<T[]>;
  const cursor = ref<string | null>(null);
  const loaded = ref(false);
  const busy = ref(false);
  const problem = ref("");
  let latest = 0;

  async function load(more = false): Promise<void> {
    const mine = ++latest;
    busy.value = true;
    problem.value = "";
    try {
      const page = await fetchPage(more ? (cursor.value ?? undefined) : undefined);
      if (mine !== latest) return;
      items.value = more ? [...items.value, ...page.items] : page.items;
      cursor.value = page.next_cursor;
      loaded.value = true;
    } catch (error) {
      if (mine === latest) problem.value = explain(error);
    } finally {
      if (mine === latest) busy.value = false;
    }
  }

  return { items, cursor, loaded, busy, problem, load };
}

export type Listing<T> = ReturnType<typeof listing<T>>;
