/** Colours to choose from for a topic, told apart on paper and at night. */
export const TOPIC_COLORS = ["#c2410c", "#b45309", "#4d7c0f", "#0f766e", "#0369a1", "#4f46e5", "#7e22ce", "#be185d"];
