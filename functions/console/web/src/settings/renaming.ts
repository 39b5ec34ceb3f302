// Gives a cloud another name where it is listed; what it was called is an "Undo" away.
import { api } from "@/api/client";
import { i18n } from "@/i18n";
import { explain } from "@/i18n/explain";
import { useToasts } from "@/stores/toasts";

/** `reload` shows the list anew. Raises what the server refuses; what undoing it meets is said. */
export async function rename(connection: { id: string; name: string }, name: string, reload: () => Promise<void>): Promise<void> {
  const toasts = useToasts();
  const path = { connection_id: connection.id };
  const call = async (wanted: string) => {
    await api.patch("/api/cloud/connections/{connection_id}", { path, body: { name: wanted } });
    await reload();
  };
  await call(name);
  toasts.say(i18n.global.t("settings.storage.renamed", { name }), {
    undo: () => toasts.during(call(connection.name).catch((error: unknown) => void toasts.say(explain(error), { tone: "error" }))),
  });
}
