// What the assistant would be sent, in all languages at once: it comes with its dialog.
export const aiPreview = {
  en: {
    aiPreview: {
      title: "What would be sent",
      nothing: "Nothing leaves this server: the built-in assistant does it.",
      to: "To {provider}, {model}, at {address}:",
      toOwn: "To {provider}, {model}:",
      characters: "no characters of your documents | {n} character of your documents | {n} characters of your documents",
      cost: "about {cost}",
      text: "The assistant's question, word for word",
      none: "There is no document yet that could be shown. Upload one, then look again.",
      looking: "Making the question …",
      example: "For the newest of your documents, “{title}”:",
    },
  },
  de: {
    aiPreview: {
      title: "Was gesendet würde",
      nothing: "Nichts verlässt diesen Server: Der eingebaute Assistent erledigt es.",
      to: "An {provider}, {model}, unter {address}:",
      toOwn: "An {provider}, {model}:",
      characters: "keine Zeichen aus Ihren Dokumenten | {n} Zeichen aus Ihren Dokumenten | {n} Zeichen aus Ihren Dokumenten",
      cost: "etwa {cost}",
      text: "Die Frage des Assistenten, Wort für Wort",
      none: "Es gibt noch kein Dokument, an dem es sich zeigen ließe. Laden Sie eines hoch und sehen Sie dann wieder nach.",
      looking: "Die Frage wird formuliert …",
      example: "Für das neueste Ihrer Dokumente, „{title}“:",
    },
  },
};
