// What went wrong, as something to show: a problem of the server (RFC 9457), or a server that cannot be reached.

export interface ProblemBody {
  status: number;
  code: string;
  title?: string;
  detail?: string;
  request_id?: string;
  errors?: { loc: (string | number)[]; msg: string }[];
  [member: string]: unknown;
}

/** The server refused. `code` is stable; `retryAfterSeconds` is set if waiting helps. */
export class ProblemError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(
    readonly body: ProblemBody,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(body.detail || body.title || body.code);
    this.code = body.code;
    this.status = body.status;
  }
}

/** No response came: no network, or no server. */
export class UnreachableError extends Error {
  constructor(cause?: unknown) {
    super("the server cannot be reached", { cause });
  }
}

/** The problem in a response that is no success, whatever its body is. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  let body: ProblemBody = { status: response.status, code: response.status >= 500 ? "unavailable" : "unexpected" };
  try {
    const parsed: unknown = await response.json();
    if (parsed !== null && typeof parsed === "object" && typeof (parsed as ProblemBody).code === "string") body = parsed as ProblemBody;
  } catch {
    // A proxy's page, or nothing: the status says enough.
  }
  return new ProblemError(body, Number.isFinite(retryAfter) ? retryAfter : null);
}

/** Whether the error is a problem with this code. */
export function isProblem(error: unknown, code: string): error is ProblemError {
  return error instanceof ProblemError && error.code === code;
}

/** Whether somebody only changed their mind. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
