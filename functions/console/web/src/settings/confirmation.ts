// What reaches far wants the password again (403 reauthentication_required): it is asked for once, and the work is done with it.
import { ref } from "vue";
import { isProblem, type ProblemError } from "@/api/problems";

/** What proves that the person is there: empty if the sign-in is recent enough. */
export interface Proof {
  password?: string;
  code?: string;
}

interface Question {
  problem: ProblemError | null;
  answer: (proof: Proof | null) => void;
}

/** What is being asked; ConfirmDialog shows it. */
export const question = ref<Question | null>(null);

const WRONG = ["invalid_credentials", "invalid_code", "forbidden"];

/** Does the work, with a proof if the server wants one; null if the person would rather not. */
export async function confirmed<T>(work: (proof: Proof) => Promise<T>): Promise<{ value: T } | null> {
  let problem: ProblemError | null = null;
  let proof: Proof = {};
  for (;;) {
    try {
      return { value: await work(proof) };
    } catch (error) {
      const asked = isProblem(error, "reauthentication_required");
      if (!asked && !(problem !== null && WRONG.some((code) => isProblem(error, code)))) throw error;
      problem = error as ProblemError;
      const given = await new Promise<Proof | null>((answer) => (question.value = { problem: asked && !proof.password ? null : (error as ProblemError), answer }));
      question.value = null;
      if (given === null) return null;
      proof = given;
    }
  }
}
