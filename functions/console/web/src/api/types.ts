// Names for what openapi.yaml describes; `schema.d.ts` is made from it by `npm run types`.
import type { components, paths } from "./schema";

type Schemas = components["schemas"];

export type Document = Schemas["Document"];
export type DocumentHit = Schemas["DocumentHit"];
export type DocumentList = Schemas["DocumentList"];
export type DocumentStatus = Document["status"];
export type Facets = Schemas["Facets"];
export type Job = Schemas["Job"];
export type BulkResult = Schemas["BulkResult"];
export type BulkAction = Schemas["BulkRequest"]["action"];
export type Topic = Schemas["Topic"];
export type TopicRef = Schemas["TopicRef"];
export type Suggestion = Schemas["Suggestion"];
export type Proposal = Schemas["Proposal"];
export type SearchSuggestion = Schemas["SearchSuggestion"];
export type View = Schemas["View"];
/** list_documents' parameters, as a view keeps them. */
export type ViewQuery = { [name: string]: unknown };
export type User = Schemas["User"];
export type CreatedUpload = Schemas["CreatedUpload"];
export type ResumableUpload = Schemas["ResumableUpload"];
export type SignedPart = Schemas["SignedPart"];
export type SignedIn = { access_token: string; expires_in: number; user: User };
export type ListQuery = NonNullable<paths["/api/documents"]["get"]["parameters"]["query"]>;

export type Method = "get" | "post" | "put" | "patch" | "delete";

/** The paths that a method is served at. */
export type PathFor<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never;
}[keyof paths];

type Operation<P extends keyof paths, M extends Method> = paths[P] extends Record<M, infer O> ? O : never;
type Parameters<O, K extends string> = O extends { parameters: Record<K, infer V> } ? V : undefined;
type OptionalParameters<O> = O extends { parameters: { query?: infer Q } } ? Q : undefined;
type RequestBody<O> = O extends { requestBody: { content: { "application/json": infer B } } }
  ? B
  : O extends { requestBody?: { content: { "application/json": infer B } } }
    ? B | undefined
    : undefined;
type Content<R> = R extends { content: { "application/json": infer C } } ? C : undefined;
type Success<O> = O extends { responses: infer R } ? Content<R[Extract<keyof R, 200 | 201 | 202 | 204>]> : never;

/** What a request to `P` takes beside the path itself. */
export type RequestOptions<P extends keyof paths, M extends Method> = {
  path?: Parameters<Operation<P, M>, "path">;
  query?: OptionalParameters<Operation<P, M>>;
  body?: Partial<RequestBody<Operation<P, M>>> extends never ? never : LooseBody<RequestBody<Operation<P, M>>>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** False: sent without the access token, as on the pages before sign-in. */
  authorized?: boolean;
};

/** Members with a default may be left out, though the description calls them always there. */
type LooseBody<B> = B extends object ? { [K in keyof B]?: B[K] } : B;

export type ResponseOf<P extends keyof paths, M extends Method> = Success<Operation<P, M>>;
