// An error as a sentence for a person: what happened, and what to do.
import { isAbort, ProblemError, UnreachableError } from "@/api/problems";
import { i18n } from "./index";

/** Empty if whoever asked has left, or asked for something else: there is nothing to say. */
export function explain(error: unknown): string {
  const { t, te } = i18n.global;
  if (isAbort(error)) return "";
  if (error instanceof UnreachableError) return t("problems.unreachable");
  if (error instanceof ProblemError) {
    if (error.code === "rate_limited") {
      const seconds = Math.max(1, Math.ceil(error.retryAfterSeconds ?? 30));
      return seconds > 90 ? t("problems.rate_limited_minutes", { minutes: Math.ceil(seconds / 60) }) : t("problems.rate_limited", { seconds });
    }
    const key = `problems.${error.code}`;
    if (te(key, "en")) return t(key);
    return error.body.detail || error.body.title || t("problems.unexpected");
  }
  return t("problems.unexpected");
}

/** The code of something that failed in a list, as a sentence. */
export function explainCode(code: string): string {
  const { t, te } = i18n.global;
  return te(`problems.${code}`, "en") ? t(`problems.${code}`) : t("problems.unexpected");
}
