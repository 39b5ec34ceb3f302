/** What the providers of assistants call themselves; the built-in one has a word of each language. */
export const PROVIDER_NAMES: Readonly<Record<string, string>> = { anthropic: "Anthropic", openai: "OpenAI", ollama: "Ollama", lmstudio: "LM Studio" };
