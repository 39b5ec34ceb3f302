// Asks for documents to live in another place, some at a time; the server carries it out.
import { api } from "@/api/client";
import { ProblemError, UnreachableError } from "@/api/problems";
import type { Outcome } from "@/stores/library";

const AT_ONCE = 4;

export interface Move {
  id: string;
  /** A connection's id; null: the server's own store. */
  to: string | null;
}

/** What is refused for one document is told of that one; if the server cannot be reached, of all that are left, and none of them is tried. */
export async function moveAll(moves: readonly Move[], asked: (done: number) => void, cancelled: () => boolean): Promise<Outcome> {
  const outcome: Outcome = { done: [], count: 0, failed: [], cancelled: false };
  const waiting = [...moves];
  const work = async (): Promise<void> => {
    for (let move = waiting.shift(); move && !cancelled(); move = waiting.shift()) {
      try {
        await api.post("/api/documents/{document_id}/move", { path: { document_id: move.id }, body: { connection_id: move.to } });
        outcome.done!.push(move.id);
      } catch (error) {
        if (error instanceof ProblemError) outcome.failed.push({ id: move.id, code: error.code });
        else if (error instanceof UnreachableError) outcome.failed.push(...[move, ...waiting.splice(0)].map(({ id }) => ({ id, code: "unreachable" })));
        else throw error;
      }
      asked(outcome.done!.length + outcome.failed.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { ...outcome, count: outcome.done!.length, cancelled: cancelled() };
}
